"""The few row counts that matrix products see.

A product of few rows takes another kernel than one of many, with other rounding: on the CPU, fp32 rows came out
equal from 16 rows up and differed below (one thread). Padding to a bucket keeps a lone request on the same path.
Where that is not enough (bf16, more threads, other devices), products are cut into tiles of one size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

ROW_BUCKET = 32
ROW_TILE = 64

Product = TypeVar("Product", Tensor, tuple[Tensor, ...])


def bucketed(rows: int) -> int:
    """The smallest multiple of ``ROW_BUCKET`` that holds ``rows``."""
    return -(-rows // ROW_BUCKET) * ROW_BUCKET


def in_tiles(product: Callable[[Tensor], Product], x: Tensor, rows: int) -> Product:
    """``product`` of ``x``, ``rows`` rows at a time; the last tile is filled with zeros."""
    padded = functional.pad(x, (0, 0, 0, -len(x) % rows))
    parts = [product(part) for part in torch.split(padded, rows)]
    if isinstance(parts[0], Tensor):
        return torch.cat(parts)[: len(x)]
    return tuple(torch.cat(column)[: len(x)] for column in zip(*parts, strict=True))
