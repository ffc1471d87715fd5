from __future__ import annotations

from dllm_worker.simulated.shelf import Shelf

A, B, C, D = b"a", b"b", b"c", b"d"


def test_pages_count_from_the_first_on() -> None:
    shelf = Shelf(4)
    shelf.put([A, B, D])
    assert [shelf.leading(pages) for pages in ([A, B, C, D], [B], [C, A], [])] == [2, 1, 0, 0]


def test_what_was_of_no_use_for_longest_makes_room() -> None:
    shelf = Shelf(2)
    shelf.put([A, B])
    assert shelf.leading([A]) == 1
    shelf.put([C])
    assert set(shelf.hashes) == {A, C}
