"""Keys and values of committed tokens, in pages that requests own for as long as they run."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


class IntegrityError(RuntimeError):
    """A stateful part no longer adds up; the message says where."""


@dataclass(frozen=True, slots=True)
class CacheShape:
    """What one cached position holds: ``layers x 2 x kv_heads x head_dim`` numbers."""

    layers: int
    kv_heads: int
    head_dim: int


class PagePool:
    """``keys`` and ``values`` are ``[layers, pages * page_size, kv_heads, head_dim]``.

    Every page is either free or owned by exactly one request.
    """

    def __init__(self, shape: CacheShape, pages: int, page_size: int, dtype: torch.dtype, device: torch.device) -> None:
        self.page_size, self.pages = page_size, pages
        planes = (shape.layers, pages * page_size, shape.kv_heads, shape.head_dim)
        self.keys = torch.zeros(planes, dtype=dtype, device=device)
        self.values = torch.zeros(planes, dtype=dtype, device=device)
        self._free = list(range(pages - 1, -1, -1))
        self._owned: dict[str, list[int]] = {}

    @property
    def free_pages(self) -> int:
        return len(self._free)

    def pages_for(self, positions: int) -> int:
        return -(-positions // self.page_size)

    def allocate(self, owner: str, positions: int) -> Tensor | None:
        """Slots ``[positions]`` for a new owner in order of position, or ``None`` when the pool is too full."""
        needed = self.pages_for(positions)
        if needed > len(self._free):
            return None
        taken = [self._free.pop() for _ in range(needed)]
        self._owned[owner] = taken
        starts = torch.tensor(taken, dtype=torch.int64, device=self.keys.device) * self.page_size
        slots = (starts[:, None] + torch.arange(self.page_size, device=self.keys.device)).flatten()
        return slots[:positions]

    def release(self, owner: str) -> None:
        self._free.extend(reversed(self._owned.pop(owner)))

    def check_integrity(self, owners: set[str]) -> None:
        """Pages belong to ``owners`` and nobody else, and none is lost or given twice."""
        if set(self._owned) != owners:
            raise IntegrityError(f"pages are owned by {sorted(self._owned)}, but {sorted(owners)} run")
        seen = sorted([*self._free, *(page for pages in self._owned.values() for page in pages)])
        if seen != list(range(self.pages)):
            raise IntegrityError(f"{self.pages} pages exist, {len(seen)} are accounted for")
