"""What the server holds, and the order of its changes: one counter of versions over all resources, as in etcd."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from tests.cluster.kubernetes.api_server.resources import Document


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Where an object is. ``resource`` is qualified by its group, ``namespace`` empty for objects of the cluster."""

    resource: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the history: ``after`` is None when the object was removed, ``before`` when it was made."""

    version: int
    key: Key
    before: Document | None
    after: Document | None

    @property
    def removed(self) -> Document:
        """The object as it was at its end, with the version of the removal."""
        return _at_version(self.before or {}, self.version)


class Store:
    """
    Objects by key, and each change since the last compaction. Documents that it has handed out or taken are not
    changed by anyone. ``lock`` guards a read that a write depends on.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.objects: dict[Key, Document] = {}
        self.version = 1
        self.compacted = 0
        self.changes: list[Change] = []
        self._listeners: list[Callable[[], None]] = []

    def put(self, key: Key, document: Document) -> Document:
        """Store ``document`` at a new version, and return it with that version."""
        with self.lock:
            stored = _at_version(document, self.version + 1)
            self._change(key, stored)
            self.objects[key] = stored
        return stored

    def remove(self, key: Key) -> Document:
        """The object that was there, with the version of its removal."""
        with self.lock:
            change = self._change(key, None)
            del self.objects[key]
        return change.removed

    def objects_at(self, version: int) -> dict[Key, Document]:
        """All objects as they were at a version that has not been compacted away."""
        with self.lock:
            objects = dict(self.objects)
            for change in reversed(self.changes):
                if change.version <= version:
                    break
                if change.before is None:
                    del objects[change.key]
                else:
                    objects[change.key] = change.before
        return objects

    def changes_since(self, version: int) -> list[Change]:
        """The changes after ``version``, oldest first."""
        with self.lock:
            return [change for change in self.changes if change.version > version]

    def compact(self) -> None:
        """Forget the history: what was read before cannot be continued from."""
        with self.lock:
            self.compacted = self.version
            self.changes.clear()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` after each change, from the thread that made it, until the returned function is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _change(self, key: Key, after: Document | None) -> Change:
        self.version += 1
        change = Change(self.version, key, self.objects.get(key), after)
        self.changes.append(change)
        for listener in list(self._listeners):
            listener()
        return change


def _at_version(document: Document, version: int) -> Document:
    return {**document, "metadata": {**document.get("metadata", {}), "resourceVersion": str(version)}}
