from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dllm_worker.golden.record import GoldenError, Record, read_record

WRONG: list[tuple[object, Callable[[Record], object], str]] = [
    (True, lambda record: record.whole("key"), "case.key is True; it has to be a whole number from 0 on"),
    (-1, lambda record: record.whole("key"), "case.key is -1; it has to be a whole number from 0 on"),
    (0, lambda record: record.whole("key", least=1), "case.key is 0; it has to be a whole number from 1 on"),
    (1.5, lambda record: record.whole("key"), "case.key is 1.5"),
    ("1", lambda record: record.number("key"), "case.key is '1'; it has to be a number"),
    (float("nan"), lambda record: record.number("key"), "case.key is nan"),
    (0, lambda record: record.flag("key"), "case.key is 0; it has to be true or false"),
    (0, lambda record: record.text("key"), "case.key is 0; it has to be a string"),
    ({}, lambda record: record.ids("key"), "case.key is {}; it has to be a list"),
    ([1, None], lambda record: record.ids("key"), r"case.key\[1\] is None"),
    ([[1], 2], lambda record: record.rows_of_ids("key"), r"case.key\[1\] is 2; it has to be a list"),
    ([[1], [2, -3]], lambda record: record.rows_of_ids("key"), r"case.key\[1\]\[1\] is -3"),
    (["x"], lambda record: record.numbers("key"), r"case.key\[0\] is 'x'"),
    ([1], lambda record: record.span("key"), "case.key has 1 entries; it has to be a start and a stop"),
    ([{}, 3], lambda record: record.records("key"), r"case.key\[1\] is 3; it has to be an object"),
    ([], lambda record: record.record("key"), r"case.key is \[\]; it has to be an object"),
    (1, lambda record: record.whole("other"), "case.other is missing"),
    (1, lambda record: record.zipped((1, 2), (3,), "key"), "case.key has 1 entries for 2 positions"),
]


@pytest.mark.parametrize(("value", "read", "message"), WRONG)
def test_what_is_wrong_is_named_by_its_key(value: object, read: Callable[[Record], object], message: str) -> None:
    with pytest.raises(GoldenError, match=f"^{message}"):
        read(Record({"key": value}, "case"))


def test_a_record_inside_a_record_knows_its_place() -> None:
    with pytest.raises(GoldenError, match=r"^cases\[1\].steps\[0\].block is missing"):
        Record({"cases": [{}, {"steps": [{}]}]}, "").records("cases")[1].records("steps")[0].whole("block")


@pytest.mark.parametrize(("value", "ids"), [(7, (7,)), ([7, 8], (7, 8)), ([], ())])
def test_one_id_stands_for_a_list_of_it(value: object, ids: tuple[int, ...]) -> None:
    assert Record({"key": value}, "").one_or_more_ids("key") == ids


def test_null_is_not_given() -> None:
    record = Record({"here": 0, "null": None}, "")
    assert [record.given(name) for name in ("here", "null", "absent")] == [True, False, False]


def test_a_key_that_nobody_read_is_refused() -> None:
    record = Record({"known": 1, "other": "x" * 80}, "settings")
    record.whole("known")
    with pytest.raises(GoldenError, match=r"^settings.other is 'xx.*\.\.\.; its meaning is not known"):
        record.refuse_others()


@pytest.mark.parametrize("content", ["", "[", "[]", "3", "\udc80"])
def test_a_file_without_an_object_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "decode.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(GoldenError, match=r"cannot be read|has to be an object"):
        read_record(tmp_path / "decode.json")
