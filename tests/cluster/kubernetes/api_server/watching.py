"""Watches: the changes of a selection as they come, from a version on."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from tests.cluster.kubernetes.api_server.reading import Selection
from tests.cluster.kubernetes.api_server.registry import documents_of
from tests.cluster.kubernetes.api_server.resources import Document
from tests.cluster.kubernetes.api_server.status import expired
from tests.cluster.kubernetes.api_server.store import Change, Store

WAIT_SECONDS = 20.0


class Instruction(Enum):
    """What a test has open watches do: tell their version, end as at their time limit, expire, lose the connection."""

    BOOKMARK = "bookmark"
    END = "end"
    EXPIRE = "expire"
    CUT = "cut"


class ConnectionCutError(Exception):
    """The connection is to be closed instead of an answer, or in the middle of one."""


@dataclass(eq=False)
class Watch:
    """One open watch, which ends after ``seconds`` if that is not None."""

    store: Store
    selection: Selection
    query: Mapping[str, str]
    loop: asyncio.AbstractEventLoop
    seconds: float | None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    instructions: deque[Instruction] = field(default_factory=deque)
    version: int = 0

    def wake(self) -> None:
        """Have it look at the store and at its instructions, from any thread."""
        self.loop.call_soon_threadsafe(self.changed.set)

    @property
    def bookmarked(self) -> bool:
        """Whether the client asked for bookmarks."""
        return self.query.get("allowWatchBookmarks") in ("true", "1", "True")

    async def events(self, opened: Callable[[], None]) -> AsyncIterator[Document]:
        """The events, until the watch ends. ``opened`` is called when those of the past have been read."""
        for event in self._first_events():
            yield event
            if event["type"] == "ERROR":
                return
        opened()
        end = None if self.seconds is None else self.loop.time() + self.seconds
        while True:
            self.changed.clear()
            for event in self._new_events():
                yield event
            while self.instructions:
                instruction = self.instructions.popleft()
                for event in self._obey(instruction):
                    yield event
                if instruction in (Instruction.END, Instruction.EXPIRE):
                    return
            if not await self._woken(end):
                self.instructions.append(Instruction.END)

    async def _woken(self, end: float | None) -> bool:
        try:
            async with asyncio.timeout_at(end):
                await self.changed.wait()
        except TimeoutError:
            return False
        return True

    def _first_events(self) -> Iterator[Document]:
        stated = self.query.get("resourceVersion") or "0"
        with self.store.lock:
            current, compacted = self.store.version, self.store.compacted
            stored = dict(self.store.objects)
        initial = self.query.get("sendInitialEvents") == "true"
        if stated != "0" and not initial:
            self.version = int(stated)
            if self.version < compacted:
                yield _error(f"too old resource version: {stated} ({compacted})")
            return
        self.version = current
        for document in documents_of(stored, self.selection.resource, self.selection.namespace):
            if self.selection.accepts(document):
                yield {"type": "ADDED", "object": document}
        if initial:
            yield self._bookmark({"k8s.io/initial-events-end": "true"})

    def _new_events(self) -> Iterator[Document]:
        for change in self.store.changes_since(self.version):
            self.version = change.version
            if change.key.resource == self.selection.resource.qualified:
                event = _event(self.selection, change)
                if event is not None:
                    yield event

    def _obey(self, instruction: Instruction) -> Iterator[Document]:
        if instruction is Instruction.CUT:
            raise ConnectionCutError
        if instruction is Instruction.EXPIRE:
            yield _error(f"too old resource version: {self.version} ({self.store.version})")
        elif self.bookmarked:
            yield self._bookmark({})

    def _bookmark(self, annotations: Document) -> Document:
        metadata: Document = {"resourceVersion": str(self.version), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        resource = self.selection.resource
        return {
            "type": "BOOKMARK",
            "object": {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata},
        }


class Watches:
    """The watches that are open."""

    def __init__(self) -> None:
        self._open: list[Watch] = []
        self._opened = threading.Condition()

    def add(self, watch: Watch) -> None:
        """Count a watch as open."""
        with self._opened:
            self._open.append(watch)
            self._opened.notify_all()

    def discard(self, watch: Watch) -> None:
        """Count it as ended."""
        with self._opened:
            self._open = [other for other in self._open if other is not watch]
            self._opened.notify_all()

    def await_open(self, plural: str, count: int) -> None:
        """Return when ``count`` watches of a resource are open. If that does not come, it is a TimeoutError."""

        def enough() -> bool:
            return sum(watch.selection.resource.plural == plural for watch in self._open) == count

        with self._opened:
            if not self._opened.wait_for(enough, WAIT_SECONDS):
                raise TimeoutError(f"there were not {count} open watches of {plural}")

    def instruct(self, instruction: Instruction) -> None:
        """Have every open watch do something."""
        with self._opened:
            for watch in self._open:
                watch.instructions.append(instruction)
                watch.wake()


def _event(selected: Selection, change: Change) -> Document | None:
    was = change.before is not None and selected.accepts(change.before)
    if change.after is not None and selected.accepts(change.after):
        return {"type": "MODIFIED" if was else "ADDED", "object": change.after}
    return {"type": "DELETED", "object": change.removed} if was else None


def _error(message: str) -> Document:
    return {"type": "ERROR", "object": expired(message).document()}
