"""Where an application's rounds are kept for those who ask why: lines of a trace, in segments of bounded length.

A segment begins with the pools that it tells of, so that it can be read by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from ray.experimental import internal_kv

from deployments.autoscaling.conductor import Round
from deployments.autoscaling.trace import decision_line, sample_line, spec_line

SEGMENTS = 60
"""The history is kept in about so many of them."""

DIGITS = 20
NAMESPACE = "dllm"


class Segments(Protocol):
    """Texts by number. They may be slow, and fail."""

    def put(self, number: int, text: str) -> None:
        """Keep ``text``, in the place of what was kept under this number."""

    def get(self, number: int) -> str | None:
        """What is kept under this number."""

    def numbers(self) -> list[int]:
        """The numbers of all that is kept, the least first."""

    def drop(self, number: int) -> None:
        """Keep nothing under this number any more."""


class MemorySegments:
    """In this process: the twin that tests use."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}

    def put(self, number: int, text: str) -> None:
        self._texts[number] = text

    def get(self, number: int) -> str | None:
        return self._texts.get(number)

    def numbers(self) -> list[int]:
        return sorted(self._texts)

    def drop(self, number: int) -> None:
        self._texts.pop(number, None)


class RaySegments:
    """In Ray's own store, from which every process of the cluster can read. Calls wait for its answer."""

    def __init__(self, application: str) -> None:
        self._prefix = f"autoscaling/{application}/".encode()

    def put(self, number: int, text: str) -> None:
        internal_kv._internal_kv_put(self._key(number), text.encode(), namespace=NAMESPACE)

    def get(self, number: int) -> str | None:
        text = internal_kv._internal_kv_get(self._key(number), namespace=NAMESPACE)
        return None if text is None else text.decode()

    def numbers(self) -> list[int]:
        keys = internal_kv._internal_kv_list(self._prefix, namespace=NAMESPACE)
        return sorted(int(key.removeprefix(self._prefix)) for key in keys)

    def drop(self, number: int) -> None:
        internal_kv._internal_kv_del(self._key(number), namespace=NAMESPACE)

    def _key(self, number: int) -> bytes:
        return self._prefix + f"{number:0{DIGITS}}".encode()


class Journal:
    """Writes rounds. A segment has those of a :data:`SEGMENTS`-th of ``history_seconds``, and its number is the time
    in which that part began; one that is older than the history is dropped, whoever wrote it.
    """

    def __init__(self, segments: Segments, history_seconds: float) -> None:
        self._segments, self.history_seconds = segments, history_seconds
        self._number = 0
        self._lines: list[str] = []
        self._told: set[str] = set()

    def write(self, told: Round) -> None:
        """Keep a round behind those that are kept. Raises what the segments raise."""
        seconds = max(1, int(self.history_seconds / SEGMENTS))
        number = int(told.at) // seconds * seconds
        if number != self._number:
            self._number, self._lines, self._told = number, [], set()
            for old in self._segments.numbers():
                if old + seconds < told.at - self.history_seconds:
                    self._segments.drop(old)
        self._lines += self._fresh(told)
        self._segments.put(number, "\n".join(self._lines) + "\n")

    def _fresh(self, told: Round) -> Iterator[str]:
        for line in map(spec_line, told.specs):
            if line not in self._told:
                self._told.add(line)
                yield line
        yield from (sample_line(name, sample) for name, sample in told.samples.items())
        if told.decision is not None:
            yield decision_line(told.decision)


def read(segments: Segments) -> Iterator[str]:
    """What is kept, segment by segment, each whole lines; the oldest first. Raises what the segments raise."""
    for number in segments.numbers():
        text = segments.get(number)
        if text is not None:
            yield text
