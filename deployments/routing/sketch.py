"""What a replica has cached, in 256 bytes: the least hashes of its pages.

A page's hash covers the key under which it may be shared and all tokens up to its end (``dllm_worker.cache.prefix``).
So a page in the sketch says that those before it are cached as well, and equal prompts of two tenants have no hash in
common. Of more pages than the sketch holds, the same ones are left out everywhere.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

SIZE = 64
_BYTES = 4


def page_name(digest: bytes) -> int:
    """The hash of a page as a 32-bit number."""
    return int.from_bytes(digest[:_BYTES], "little")


def sketch(digests: Iterable[bytes]) -> tuple[int, ...]:
    """The least ``SIZE`` of the pages' names, in ascending order."""
    return tuple(heapq.nsmallest(SIZE, {page_name(digest) for digest in digests}))


def cached_pages(pages: Sequence[int], prefixes: frozenset[int]) -> int:
    """How many of a prompt's ``pages``, counted from its start, a replica with this sketch has at least."""
    return next((number for number in range(len(pages), 0, -1) if pages[number - 1] in prefixes), 0)
