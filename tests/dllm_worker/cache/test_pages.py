from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.cache.pages import CacheShape, IntegrityError, PagePool


def pool(pages: int = 6) -> PagePool:
    return PagePool(CacheShape(layers=1, kv_heads=1, head_dim=2), pages, 4, torch.float32, torch.device("cpu"))


def test_slots_are_whole_pages_cut_to_the_positions() -> None:
    slots = pool().allocate("a", 10)
    assert slots is not None
    assert slots.tolist() == list(range(10))


def test_a_full_pool_gives_nothing_and_loses_nothing() -> None:
    full = pool()
    assert full.allocate("a", 20) is not None
    assert full.allocate("b", 5) is None
    full.check_integrity({"a"})
    full.release("a")
    assert full.free_pages == 6


def test_integrity_names_the_owner_that_is_too_many() -> None:
    leaky = pool()
    leaky.allocate("gone", 4)
    with pytest.raises(IntegrityError, match="gone"):
        leaky.check_integrity(set())


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 30)), max_size=40))
def test_no_slot_is_ever_shared_or_lost(history: list[tuple[int, int]]) -> None:
    shared = pool(10)
    held: dict[str, set[int]] = {}
    for which, positions in history:
        owner = str(which)
        if owner in held:
            shared.release(owner)
            del held[owner]
        elif (slots := shared.allocate(owner, positions)) is not None:
            assert len(slots) == positions
            assert not set(slots.tolist()) & set().union(*held.values())
            held[owner] = set(slots.tolist())
        shared.check_integrity(set(held))
