"""Keys and values of committed tokens, in pages that requests own while they run and may share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_worker.cache.shape import CacheShape


class IntegrityError(RuntimeError):
    """A stateful part no longer adds up; the message says where."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """``slots`` int64 ``[positions]`` in order of position.

    The first ``reused`` of them hold the keys and values of their positions. Others may be reading these, so they are
    not written again; all later slots belong to this owner alone.
    """

    slots: Tensor
    reused: int


class PagePool:
    """``keys`` and ``values`` hold ``[pages * page_size, kv_heads, head_dim]`` for each layer of ``shape``.

    Every page is either free, or owned by at least one request, or cached: published under a hash, without an owner,
    and evicted when its room is needed, the least recently used first. Only a published page has more than one owner.

    The published pages of an owner are its leading ones. So whoever owns a published page owns all that its hash
    covers, a page is never used later than those before it, and eviction takes the deepest page of a chain first.
    """

    def __init__(self, shape: CacheShape, pages: int, page_size: int, dtype: torch.dtype, device: torch.device) -> None:
        self.page_size, self.pages = page_size, pages
        self.shape, self.device = shape, device
        planes = [(pages * page_size, layer.kv_heads, layer.head_dim) for layer in shape]
        # Not zeroed: on the CPU, memory that is never written takes no room.
        self.keys = [torch.empty(plane, dtype=dtype, device=device) for plane in planes]
        self.values = [torch.empty(plane, dtype=dtype, device=device) for plane in planes]
        self.reused_positions_total = 0
        self.evictions_total = 0
        self._free = list(range(pages - 1, -1, -1))
        self._owned: dict[str, list[int]] = {}
        self._owners = [0] * pages
        self._published: dict[bytes, int] = {}
        self._hashes: dict[int, bytes] = {}
        self._cached: dict[int, None] = {}  # in order of use, the latest last

    @property
    def free_pages(self) -> int:
        """Pages that a new owner can get: those that are free and those that are cached."""
        return len(self._free) + len(self._cached)

    @property
    def cached_pages(self) -> int:
        return len(self._cached)

    @property
    def published(self) -> tuple[bytes, ...]:
        """The hashes under which pages may be shared."""
        return tuple(self._published)

    def pages_for(self, positions: int) -> int:
        return -(-positions // self.page_size)

    def allocate(self, owner: str, positions: int, prefix: Sequence[bytes] = ()) -> Allocation | None:
        """Room for a new owner, or ``None`` when the pool is too full; then nothing has changed.

        ``prefix`` are the hashes of the owner's leading pages. As many as are published one after the other, and lie
        whole within ``positions``, are shared; the other pages are fresh.
        """
        if owner in self._owned:
            raise IntegrityError(f"{owner} owns pages already")
        shared = self._longest_match(prefix[: positions // self.page_size])
        fresh = self.pages_for(positions) - len(shared)
        if fresh > self.free_pages - sum(page in self._cached for page in shared):
            return None
        for page in shared:
            self._cached.pop(page, None)
        pages = shared + [self._fresh_page() for _ in range(fresh)]
        for page in pages:
            self._owners[page] += 1
        self._owned[owner] = pages
        reused = len(shared) * self.page_size
        self.reused_positions_total += reused
        return Allocation(self._slots(pages)[:positions], reused)

    def publish(self, owner: str, hashes: Sequence[bytes]) -> None:
        """The owner's first ``len(hashes)`` pages are written whole and may be shared under these hashes.

        Publishing again changes nothing. From the first hash on that another page carries, the owner's pages stay
        private: they continue a page that the owner does not hold, and could outlive it.
        """
        for page, digest in zip(self._owned[owner][: len(hashes)], hashes, strict=True):
            if self._published.get(digest, page) != page:
                return
            if self._hashes.get(page, digest) != digest:
                raise IntegrityError(f"page {page} of {owner} is published under another hash")
            self._published[digest] = page
            self._hashes[page] = digest

    def release(self, owner: str) -> None:
        """Take the owner's pages back. Published ones that nobody owns any more are cached, others are free."""
        for page in reversed(self._owned.pop(owner)):
            self._owners[page] -= 1
            if self._owners[page]:
                continue
            if page in self._hashes:
                self._cached[page] = None
            else:
                self._free.append(page)

    def check_integrity(self, owners: set[str]) -> None:
        """Pages belong to ``owners`` and nobody else, none is lost or given twice, and only published ones are shared.

        Raises :class:`IntegrityError`.
        """
        if set(self._owned) != owners:
            raise IntegrityError(f"pages are owned by {sorted(self._owned)}, but {sorted(owners)} run")
        counts = Counter(page for pages in self._owned.values() for page in pages)
        if self._owners != [counts[page] for page in range(self.pages)]:
            raise IntegrityError("the pages' counts of owners differ from what the owners hold")
        seen = sorted([*self._free, *self._cached, *counts])
        if seen != list(range(self.pages)):
            raise IntegrityError(f"{self.pages} pages exist, {len(seen)} are accounted for")
        self._check_published(counts)

    def _check_published(self, counts: Counter[int]) -> None:
        if self._hashes != {page: digest for digest, page in self._published.items()}:
            raise IntegrityError("pages and the hashes they are published under differ")
        if set(self._hashes) & set(self._free) or not set(self._hashes) >= set(self._cached):
            raise IntegrityError("a free page is published or a cached one is not")
        shared = [page for page, owners in counts.items() if owners > 1 and page not in self._hashes]
        if shared:
            raise IntegrityError(f"pages {shared} are shared and not published")
        for owner, pages in self._owned.items():
            published = [page in self._hashes for page in pages]
            if published != sorted(published, reverse=True):
                raise IntegrityError(f"{owner} has a private page before a published one")

    def _longest_match(self, prefix: Sequence[bytes]) -> list[int]:
        pages: list[int] = []
        for digest in prefix:
            page = self._published.get(digest)
            if page is None:
                break
            pages.append(page)
        return pages

    def _fresh_page(self) -> int:
        if self._free:
            return self._free.pop()
        page = next(iter(self._cached))
        del self._cached[page]
        del self._published[self._hashes.pop(page)]
        self.evictions_total += 1
        return page

    def _slots(self, pages: list[int]) -> Tensor:
        starts = torch.tensor(pages, dtype=torch.int64, device=self.device) * self.page_size
        return (starts[:, None] + torch.arange(self.page_size, device=self.device)).flatten()
