"""Names of whole pages: equal names mean equal keys and values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from dllm_worker.canvas import attention_of, grid_of
from dllm_worker.request import Request
from dllm_worker.spec import ModelSpec

DIGEST_SIZE = 16

SMALLEST_PAGE = 32
"""Positions of a page where the model's blocks ask for no other number."""


@dataclass(frozen=True, slots=True)
class PrefixKey:
    """What besides tokens decides whether requests may share keys and values.

    ``salt`` is the request's, and only equal salts share. ``grid`` is the length of the blocks, counted from position
    0, whose tokens see each other both ways; it is 1 where committed tokens only look back.
    """

    salt: str
    grid: int


def prefix_key(request: Request, spec: ModelSpec) -> PrefixKey | None:
    """Who may share this request's pages; ``None`` when they hold for itself only."""
    attention = attention_of(request, spec)
    if attention == "bidirectional" or request.sampling.guidance:
        return None
    if attention == "causal":
        return PrefixKey(request.cache_salt, 1)
    grid = grid_of(request, spec)
    return PrefixKey(request.cache_salt, grid.length) if grid.first == grid.length else None


def page_size_of(spec: ModelSpec) -> int:
    """Positions of a page: a whole number of blocks where the tokens of a block see each other both ways."""
    grain = spec.canvas_length if spec.context_attention == "block_causal" else SMALLEST_PAGE
    return -(-SMALLEST_PAGE // grain) * grain


def page_hashes(tokens: Sequence[int], page_size: int, key: PrefixKey) -> tuple[bytes, ...]:
    """One hash of 16 bytes for each whole page of ``tokens``, which start at position 0.

    A page's hash covers the key and every token up to the page's end, so it names what precedes the page too.
    There are none where pages end inside a block, since a page then depends on tokens behind it.
    """
    if page_size % key.grid:
        return ()
    digest = _digest(key.grid.to_bytes(8, "little"), key.salt.encode(errors="surrogatepass"))
    hashes: list[bytes] = []
    for stop in range(page_size, len(tokens) + 1, page_size):
        digest = _digest(digest, np.asarray(tokens[stop - page_size : stop], dtype="<i8").tobytes())
        hashes.append(digest)
    return tuple(hashes)


def _digest(fixed_length: bytes, rest: bytes) -> bytes:
    return blake2b(fixed_length + rest, digest_size=DIGEST_SIZE).digest()
