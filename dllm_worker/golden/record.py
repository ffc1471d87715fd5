"""JSON objects read key by key: what is missing, of another type or not understood is named by file and key."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

Item = TypeVar("Item", int, float)


class GoldenError(ValueError):
    """A folder of reference data cannot be replayed; the message names the file and the key."""


class Record:
    """One JSON object. It remembers what was read, so that :meth:`refuse_others` can name the rest."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values, self.where = values, where
        self._read: set[str] = set()

    def given(self, name: str) -> bool:
        """Whether ``name`` is there and not null."""
        self._read.add(name)
        return self._values.get(name) is not None

    def whole(self, name: str, least: int = 0) -> int:
        return _whole(self._value(name), self.place(name), least)

    def number(self, name: str) -> float:
        return _number(self._value(name), self.place(name))

    def flag(self, name: str) -> bool:
        value = self._value(name)
        if type(value) is not bool:
            raise GoldenError(f"{self.place(name)} is {_shown(value)}; it has to be true or false")
        return value

    def text(self, name: str) -> str:
        value = self._value(name)
        if type(value) is not str:
            raise GoldenError(f"{self.place(name)} is {_shown(value)}; it has to be a string")
        return value

    def ids(self, name: str) -> tuple[int, ...]:
        return tuple(_whole(item, place, 0) for item, place in self._items(name))

    def one_or_more_ids(self, name: str) -> tuple[int, ...]:
        """A list, or one id that stands for a list of it."""
        return self.ids(name) if isinstance(self._value(name), list) else (self.whole(name),)

    def rows_of_ids(self, name: str) -> list[tuple[int, ...]]:
        rows = [Record({"": item}, place) for item, place in self._items(name)]
        return [row.ids("") for row in rows]

    def numbers(self, name: str) -> tuple[float, ...]:
        return tuple(_number(item, place) for item, place in self._items(name))

    def span(self, name: str) -> range:
        """Two ids as a range of positions."""
        ends = self.ids(name)
        if len(ends) != 2:
            raise GoldenError(f"{self.place(name)} has {len(ends)} entries; it has to be a start and a stop")
        return range(*ends)

    def records(self, name: str) -> list[Record]:
        return [Record(_object(item, place), place) for item, place in self._items(name)]

    def record(self, name: str) -> Record:
        return Record(_object(self._value(name), self.place(name)), self.place(name))

    def zipped(self, positions: tuple[int, ...], values: tuple[Item, ...], name: str) -> dict[int, Item]:
        """``values``, which were read from ``name``, by position."""
        if len(values) != len(positions):
            raise GoldenError(f"{self.place(name)} has {len(values)} entries for {len(positions)} positions")
        return dict(zip(positions, values, strict=True))

    def refuse(self, name: str, reason: str) -> GoldenError:
        """The error that says why the value of ``name`` cannot be replayed."""
        return GoldenError(f"{self.place(name)} is {_shown(self._values.get(name))}; {reason}")

    def refuse_others(self) -> None:
        """Raise :class:`GoldenError` for the first key that nobody has read."""
        for name in self._values:
            if name not in self._read:
                raise self.refuse(name, "its meaning is not known")

    def place(self, name: str) -> str:
        return ".".join(filter(None, (self.where, name)))

    def _value(self, name: str) -> Any:
        self._read.add(name)
        if name not in self._values:
            raise GoldenError(f"{self.place(name)} is missing")
        return self._values[name]

    def _items(self, name: str) -> list[tuple[Any, str]]:
        place = self.place(name)
        return [(item, f"{place}[{number}]") for number, item in enumerate(_listed(self._value(name), place))]


def read_record(path: Path) -> Record:
    """The object in the file ``path``; what is wrong with it is named without the file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise GoldenError(f"it cannot be read: {error}") from error
    return Record(_object(content, "the content"), "")


def _whole(value: Any, place: str, least: int) -> int:
    if type(value) is not int or not least <= value < 1 << 31:
        raise GoldenError(f"{place} is {_shown(value)}; it has to be a whole number from {least} on")
    return value


def _number(value: Any, place: str) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise GoldenError(f"{place} is {_shown(value)}; it has to be a number")
    return float(value)


def _listed(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise GoldenError(f"{place} is {_shown(value)}; it has to be a list")
    return value


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise GoldenError(f"{place} is {_shown(value)}; it has to be an object")
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
