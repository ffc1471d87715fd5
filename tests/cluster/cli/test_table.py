from __future__ import annotations

from cluster.cli.table import moment, names, table


def test_columns_are_as_wide_as_their_widest_cell_and_numbers_stand_to_the_right() -> None:
    rows = [("acme", 1234567, 0.5, None), ("b", 7, 12.0, "x")]
    assert table(("name", "n", "share", "note"), rows) == (
        "name          n  share  note\nacme  1,234,567    0.5  -\nb             7     12  x"
    )


def test_a_table_without_rows_is_its_header() -> None:
    assert table(("a", "b"), []) == "a  b"


def test_times_are_in_utc_and_lists_are_spelled_out() -> None:
    assert (moment(1_700_000_000.0), moment(None)) == ("2023-11-14 22:13Z", None)
    assert (names(None), names(()), names(("a", "b"))) == ("all", "none", "a, b")
