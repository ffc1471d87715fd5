"""What the chart adds to a configuration: addresses, files of secrets, and labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deployments.config import ClusterConfig
from deployments.document import ConfigError

Tree = dict[str, Any]

OWN = (
    ("http", "host"),
    ("admin", "host"),
    ("admin", "key"),
    ("admin", "key_file"),
    ("state", "url"),
    ("gateway", "labels"),
    ("gateway", "drain_seconds"),
    ("ray", "address"),
    ("ray", "dashboard"),
    ("tenancy_file",),
)
"""What the chart refuses in ``config`` of its values, since it says it itself."""

WHERE_UNSAID = (("telemetry", "traces"), ("grpc", "port"))
"""What the chart says besides, by ``collector`` and ``service.grpc``, unless the configuration does."""

ROLE, WORKER = "dllm/role", "worker"


def written(config: ClusterConfig) -> tuple[Tree, tuple[str, ...]]:
    """What the configuration's file says, as plain data, without what is the chart's to say; and the keys left out.

    Raises :class:`ConfigError` for secrets of tenants.
    """
    if any(key.key is not None for key in config.keys):
        raise ConfigError("keys: give each by its id and sha256, or all of them in a Secret, as tenants.existingSecret")
    tree = config.model_dump(mode="json", exclude_unset=True)
    left_out = tuple(".".join(path) for path in OWN if _take(tree, path))
    return tree, left_out


def charted(tree: Tree, running: ClusterConfig) -> ClusterConfig:
    """The configuration ``tree`` with what the chart has added to ``running``. Raises ``pydantic.ValidationError``."""
    installed = running.model_dump(mode="json", exclude_defaults=True)
    whole = _copied(tree)
    for path in (*OWN, *WHERE_UNSAID):
        if _has(installed, path) and not _has(whole, path):
            _put(whole, path, _get(installed, path))
    for pool in _pools(whole):
        accelerator = pool["accelerator"] = dict(pool.get("accelerator") or {})
        accelerator["labels"] = {**(accelerator.get("labels") or {}), ROLE: WORKER}
    return ClusterConfig.model_validate(whole)


def _pools(tree: Tree) -> Iterator[Tree]:
    """The pools of the models. A configuration names its models: those by default are of a machine by itself."""
    if "models" not in tree:
        tree["models"] = ClusterConfig().model_dump(mode="json", exclude_defaults=False)["models"]
    for model in tree["models"]:
        yield from model.setdefault("pools", [{}])


def _copied(value: Any) -> Any:
    match value:
        case Mapping():
            return {name: _copied(each) for name, each in value.items()}
        case list():
            return [_copied(each) for each in value]
    return value


def _has(tree: Mapping[str, Any], path: Sequence[str]) -> bool:
    return path[0] in tree and (len(path) == 1 or _has(tree[path[0]], path[1:]))


def _get(tree: Mapping[str, Any], path: Sequence[str]) -> Any:
    return tree[path[0]] if len(path) == 1 else _get(tree[path[0]], path[1:])


def _put(tree: Tree, path: Sequence[str], value: Any) -> None:
    if len(path) == 1:
        tree[path[0]] = value
    else:
        _put(tree.setdefault(path[0], {}), path[1:], value)


def _take(tree: Tree, path: Sequence[str]) -> bool:
    """Take the key out, and with it a section that has no other; true if it was there."""
    if not _has(tree, path):
        return False
    if len(path) == 1:
        del tree[path[0]]
        return True
    found = _take(tree[path[0]], path[1:])
    if not tree[path[0]]:
        del tree[path[0]]
    return found
