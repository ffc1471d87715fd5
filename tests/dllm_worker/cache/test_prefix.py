from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.cache.prefix import PrefixKey, page_hashes

KEY = PrefixKey("tenant", grid=2)
tokens = st.lists(st.integers(0, 300_000), max_size=20)
sizes = st.sampled_from([2, 4, 8])


@given(tokens, tokens, sizes)
def test_what_follows_a_page_does_not_change_its_hash(head: list[int], tail: list[int], size: int) -> None:
    hashes = page_hashes(head, size, KEY)
    assert len(hashes) == len(head) // size
    assert page_hashes(head + tail, size, KEY)[: len(hashes)] == hashes


@given(tokens.filter(len), sizes, st.data())
def test_a_token_changes_the_hash_of_its_page_and_of_all_later_ones(
    before: list[int], size: int, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(before) - 1))
    after = [*before[:at], before[at] + 1, *before[at + 1 :]]
    equal = [one == two for one, two in zip(page_hashes(before, size, KEY), page_hashes(after, size, KEY), strict=True)]
    assert equal == [page < at // size for page in range(len(before) // size)]


def test_equal_pages_at_different_depths_differ() -> None:
    hashes = page_hashes([7, 7, 7, 7, 7, 7], 2, KEY)
    assert len(set(hashes)) == 3
    assert {len(digest) for digest in hashes} == {16}


@pytest.mark.parametrize(
    "other", [PrefixKey("tenant2", 2), PrefixKey("", 2), PrefixKey("\ud800", 2), PrefixKey("tenant", 1)]
)
def test_keys_share_no_hash(other: PrefixKey) -> None:
    assert not set(page_hashes(range(8), 2, KEY)) & set(page_hashes(range(8), 2, other))


@pytest.mark.parametrize(("grid", "pages"), [(1, 2), (4, 2), (8, 2), (3, 0), (16, 0)])
def test_pages_that_end_inside_a_block_have_no_hash(grid: int, pages: int) -> None:
    assert len(page_hashes(range(16), 8, PrefixKey("", grid))) == pages
