from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from torch import Tensor

from dllm_worker.batch import BlockRows, pack
from dllm_worker.cache.attention import SegmentAttention
from dllm_worker.cache.pages import Allocation, IntegrityError, PagePool
from dllm_worker.cache.prefix import PrefixKey, page_hashes
from dllm_worker.cache.shape import LayerShape
from dllm_worker.models.loading import LoadedModel

PAGE = 4


def pool(pages: int = 6) -> PagePool:
    return PagePool((LayerShape(kv_heads=1, head_dim=2),), pages, PAGE, torch.float32, torch.device("cpu"))


def names(tokens: Sequence[int], salt: str = "") -> tuple[bytes, ...]:
    return page_hashes(tokens, PAGE, PrefixKey(salt, grid=1))


def allocate(pages: PagePool, owner: str, positions: int, prefix: Sequence[bytes] = ()) -> Allocation:
    room = pages.allocate(owner, positions, prefix)
    assert room is not None
    return room


def keep(pages: PagePool, owner: str, hashes: Sequence[bytes]) -> list[int]:
    """Fill, publish and release the pages of ``hashes``; their slots."""
    room = allocate(pages, owner, len(hashes) * PAGE, hashes)
    pages.publish(owner, hashes)
    pages.release(owner)
    return room.slots.tolist()


def test_slots_are_whole_pages_cut_to_the_positions() -> None:
    room = allocate(pool(), "a", 10)
    assert room.slots.tolist() == list(range(10))
    assert room.slots.dtype == torch.int64
    assert room.reused == 0


def test_a_full_pool_gives_nothing_and_loses_nothing() -> None:
    full = pool()
    allocate(full, "a", 20)
    assert full.allocate("b", 5) is None
    full.check_integrity({"a"})
    full.release("a")
    assert full.free_pages == 6


def test_a_pool_without_pages_serves_those_who_cache_nothing() -> None:
    empty = pool(0)
    assert allocate(empty, "a", 0).slots.tolist() == []
    assert empty.allocate("b", 1) is None
    empty.check_integrity({"a"})


def test_running_requests_share_what_is_published_and_nothing_else() -> None:
    shared = pool()
    hashes = names(range(12))
    first = allocate(shared, "a", 12, hashes)
    shared.publish("a", hashes[:2])
    second = allocate(shared, "b", 16, hashes)
    assert (first.reused, second.reused) == (0, 8)
    assert second.slots[:8].tolist() == first.slots[:8].tolist()
    assert not set(second.slots[8:].tolist()) & set(first.slots.tolist())
    assert (shared.free_pages, shared.reused_positions_total) == (1, 8)


def test_a_shared_page_outlives_its_first_owner() -> None:
    shared = pool()
    hashes = names(range(8))
    allocate(shared, "a", 8)
    shared.publish("a", hashes)
    second = allocate(shared, "b", 8, hashes)
    shared.release("a")
    assert shared.cached_pages == 0
    assert not set(allocate(shared, "c", 16).slots.tolist()) & set(second.slots.tolist())
    assert shared.allocate("d", 1) is None


def test_a_hit_never_crosses_salts() -> None:
    shared = pool()
    keep(shared, "a", names(range(8), salt="one"))
    assert allocate(shared, "b", 8, names(range(8), salt="two")).reused == 0
    assert allocate(shared, "c", 8, names(range(8), salt="one")).reused == 8


def test_only_pages_within_the_positions_are_shared() -> None:
    shared = pool()
    hashes = names(range(8))
    keep(shared, "a", hashes)
    room = allocate(shared, "b", 6, hashes)
    assert (room.reused, len(room.slots)) == (4, 6)


def test_the_least_recently_used_chain_goes_first_and_its_deepest_page_before_the_others() -> None:
    shared = pool(4)
    old, new = names([1] * 8), names([2] * 8)
    keep(shared, "a", old)
    keep(shared, "b", new)
    keep(shared, "c", old)
    allocate(shared, "d", 4)
    assert shared.evictions_total == 1
    assert allocate(shared, "e", 4, new).reused == 4
    assert allocate(shared, "f", 8, old).reused == 8


def test_shared_pages_are_no_room_for_fresh_ones() -> None:
    shared = pool(4)
    hashes = names(range(8))
    keep(shared, "a", hashes)
    allocate(shared, "b", 8)
    assert shared.allocate("c", 12, hashes) is None
    assert (shared.cached_pages, shared.evictions_total, shared.reused_positions_total) == (2, 0, 0)
    shared.release("b")
    assert allocate(shared, "c", 12, hashes).reused == 8


def test_of_two_who_write_the_same_the_later_stays_private() -> None:
    shared = pool()
    hashes = names(range(8))
    first, second = allocate(shared, "a", 8), allocate(shared, "b", 8)
    shared.publish("a", hashes[:1])
    shared.publish("b", hashes)
    assert allocate(shared, "c", 8, hashes).slots[:4].tolist() == first.slots[:4].tolist()
    assert shared.reused_positions_total == 4
    shared.release("b")
    assert shared.cached_pages == 0
    assert len(second.slots) == 8


def test_pages_are_published_under_one_hash_and_only_if_they_are_there() -> None:
    shared = pool()
    allocate(shared, "a", 4)
    shared.publish("a", names([1] * 4))
    shared.publish("a", names([1] * 4))
    with pytest.raises(IntegrityError, match="page 0 of a"):
        shared.publish("a", names([2] * 4))
    with pytest.raises(ValueError, match="longer"):
        shared.publish("a", names([1] * 8))


def test_an_owner_has_one_allocation() -> None:
    shared = pool()
    allocate(shared, "a", 4)
    with pytest.raises(IntegrityError, match="a owns pages"):
        shared.allocate("a", 4)


def test_integrity_names_the_owner_that_is_too_many() -> None:
    leaky = pool()
    allocate(leaky, "gone", 4)
    with pytest.raises(IntegrityError, match="gone"):
        leaky.check_integrity(set())


@torch.inference_mode()
def test_rows_after_a_shared_prefix_are_those_of_a_request_alone(tiny_model: LoadedModel) -> None:
    block, tokens = 8, torch.arange(2, 34)
    shared = PagePool(tiny_model.denoiser.cache_shape, 8, 16, tiny_model.dtype, tiny_model.device)
    hashes = page_hashes(tokens.tolist(), 16, PrefixKey("", grid=block))

    def rows(owner: str, prefix: Sequence[bytes]) -> Tensor:
        room = allocate(shared, owner, 32, prefix)
        starts = range(room.reused, 32, block)
        blocks = [BlockRows(tokens[at : at + block], at, room.slots, stored=True) for at in starts]
        batch = pack(blocks, tiny_model.device)
        return tiny_model.denoiser(batch.rows, SegmentAttention(shared, batch.segments))[: 32 - room.reused]

    alone = rows("a", ())
    shared.publish("a", hashes)
    assert torch.equal(rows("b", hashes[:1]), alone[16:])


@dataclass(slots=True)
class Held:
    """A request of the machine below: its first ``written`` positions are in its ``slots``."""

    salt: str
    tokens: list[int]
    slots: list[int]
    written: int

    @property
    def pages(self) -> list[int]:
        return [slot // PAGE for slot in self.slots[::PAGE]]


@dataclass(slots=True)
class Published:
    """A page, the hash before it in its chain, how deep it lies, and when an owner last gave it back."""

    page: int
    parent: bytes | None
    depth: int
    last_used: int = 0


class Sharing(RuleBasedStateMachine):
    """Requests over few tokens, held against a plain account of who has written what where."""

    PAGES = 6

    def __init__(self) -> None:
        super().__init__()
        self.pool = pool(self.PAGES)
        self.held: dict[str, Held] = {}
        self.written: dict[int, tuple[str, tuple[int, ...]]] = {}
        self.published: dict[bytes, Published] = {}
        self.clock = self.evictions = self.reused = 0

    @property
    def owned(self) -> set[int]:
        return {page for held in self.held.values() for page in held.pages}

    @property
    def cached(self) -> list[bytes]:
        """Hashes in the order in which their pages are to be evicted."""
        unowned = [digest for digest, at in self.published.items() if at.page not in self.owned]
        return sorted(unowned, key=lambda digest: (self.published[digest].last_used, -self.published[digest].depth))

    @property
    def free(self) -> int:
        return self.PAGES - len(self.owned) - len(self.cached)

    @rule(
        tokens=st.lists(st.integers(0, 1), min_size=1, max_size=4),
        tail=st.integers(0, PAGE),
        known=st.integers(0, 4),
        salt=st.sampled_from("xy"),
    )
    def allocate(self, tokens: list[int], tail: int, known: int, salt: str) -> None:
        tokens = [token for token in tokens for _ in range(PAGE)] + [0] * tail
        prefix = names(tokens, salt)[:known]
        shared = [d for at, d in enumerate(prefix) if all(d in self.published for d in prefix[: at + 1])]
        fresh = self.pool.pages_for(len(tokens)) - len(shared)
        evictable = [digest for digest in self.cached if digest not in shared]
        evicted = evictable[: max(0, fresh - self.free)]
        self.clock += 1
        room = self.pool.allocate(str(self.clock), len(tokens), prefix)
        if fresh > self.free + len(evictable):
            assert room is None
            return
        assert room is not None
        for digest in evicted:
            del self.published[digest]
        self.evictions += len(evicted)
        self.reused += room.reused
        held = Held(salt, tokens, room.slots.tolist(), room.reused)
        assert (room.reused, len(held.slots)) == (len(shared) * PAGE, len(tokens))
        assert len(set(held.slots)) == len(held.slots)
        for position, slot in enumerate(held.slots[: room.reused]):
            assert self.written[slot] == (salt, tuple(tokens[: position + 1]))
        taken = self.owned | {at.page for at in self.published.values()}
        assert not taken & set(held.pages[len(shared) :])
        self.held[str(self.clock)] = held

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 5), positions=st.integers(0, 3 * PAGE))
    def write(self, which: int, positions: int) -> None:
        owner, held = list(self.held.items())[which % len(self.held)]
        others = {slot for name, other in self.held.items() if name != owner for slot in other.slots}
        stop = min(held.written + positions, len(held.tokens))
        for position in range(held.written, stop):
            assert held.slots[position] not in others
            self.written[held.slots[position]] = (held.salt, tuple(held.tokens[: position + 1]))
        held.written = stop
        hashes = names(held.tokens[:stop], held.salt)
        self.pool.publish(owner, hashes)
        parent: bytes | None = None
        for depth, digest in enumerate(hashes):
            at = self.published.setdefault(digest, Published(held.pages[depth], parent, depth))
            if at.page != held.pages[depth]:
                break
            parent = digest

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 5))
    def release(self, which: int) -> None:
        owner = list(self.held)[which % len(self.held)]
        pages = self.held.pop(owner).pages
        self.clock += 1
        for at in self.published.values():
            if at.page in pages:
                at.last_used = self.clock
        self.pool.release(owner)

    @invariant()
    def nothing_is_lost_and_figures_are_true(self) -> None:
        self.pool.check_integrity(set(self.held))
        assert (self.pool.cached_pages, self.pool.free_pages) == (len(self.cached), self.free + len(self.cached))
        assert (self.pool.evictions_total, self.pool.reused_positions_total) == (self.evictions, self.reused)

    @invariant()
    def whoever_owns_a_published_page_owns_what_precedes_it(self) -> None:
        for at in self.published.values():
            if at.parent is not None:
                before = self.published[at.parent]
                assert all(before.page in held.pages for held in self.held.values() if at.page in held.pages)

    def teardown(self) -> None:
        for owner in list(self.held):
            self.pool.release(owner)
        assert len(set(allocate(self.pool, "all", self.PAGES * PAGE).slots.tolist())) == self.PAGES * PAGE
        assert self.pool.cached_pages == 0


TestSharing = Sharing.TestCase
TestSharing.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
