"""Where the processes of an application say at which address their metrics are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Protocol

from ray.experimental import internal_kv

NAMESPACE = "dllm-metrics"


@dataclass(frozen=True, slots=True)
class Target:
    """A process: its ``component`` (gateway, worker, controller) and, where there are several of them, the id of its
    replica. It gives its metrics at ``address``, a host and a port, to who knows the ``token``.
    """

    component: str
    replica: str
    address: str
    token: str

    @property
    def process(self) -> str:
        """The name of the process, which no other has."""
        return f"{self.component}-{self.replica}" if self.replica else self.component


class Targets(Protocol):
    """The processes that have announced themselves and have not been removed. Calls may wait for a server."""

    def announce(self, target: Target) -> None:
        """Enter ``target``, in place of what was entered under the name of its process."""

    def remove(self, target: Target) -> None:
        """Forget ``target``; another one of the same name stays."""

    def all(self) -> tuple[Target, ...]:
        """All that are entered, by name."""


class MemoryTargets:
    """:class:`Targets` in this process."""

    def __init__(self) -> None:
        self._targets: dict[str, Target] = {}

    def announce(self, target: Target) -> None:
        self._targets[target.process] = target

    def remove(self, target: Target) -> None:
        if self._targets.get(target.process) == target:
            del self._targets[target.process]

    def all(self) -> tuple[Target, ...]:
        return tuple(self._targets[name] for name in sorted(self._targets))


class RayTargets:
    """:class:`Targets` that Ray keeps for ``application``, for as long as the cluster runs."""

    def __init__(self, application: str) -> None:
        self._prefix = f"{application}/"

    def announce(self, target: Target) -> None:
        internal_kv._internal_kv_put(self._key(target), json.dumps(asdict(target)), namespace=NAMESPACE)

    def remove(self, target: Target) -> None:
        if self._read(self._key(target)) == target:
            internal_kv._internal_kv_del(self._key(target), namespace=NAMESPACE)

    def all(self) -> tuple[Target, ...]:
        names = sorted(internal_kv._internal_kv_list(self._prefix, namespace=NAMESPACE))
        found = (self._read(name.decode()) for name in names)
        return tuple(target for target in found if target is not None)

    def _key(self, target: Target) -> str:
        return f"{self._prefix}{target.process}"

    def _read(self, key: str) -> Target | None:
        entry: bytes | None = internal_kv._internal_kv_get(key, namespace=NAMESPACE)
        if entry is None:
            return None
        fields: Mapping[str, str] = json.loads(entry)
        return Target(**fields)
