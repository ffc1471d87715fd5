"""What the device of this process does at best: products of large matrices, timed."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.nn import functional

PRODUCTS = {"cpu": ((1024, 1024, 1024), (512, 2048, 1024)), "cuda": ((8192, 8192, 8192),)}
"""Rows, outputs and inputs of the products, by the kind of device; the fastest is the ceiling."""


def device_clock(device: torch.device) -> Callable[[], float]:
    """A clock that waits for what ``device`` has been given to do."""

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return now


@torch.inference_mode()
def measured_peak(dtype: torch.dtype, device: torch.device, seconds: float, clock: Callable[[], float]) -> float:
    """Operations in a second of the fastest product.

    They take turns for about ``seconds`` of ``clock``; each is timed once at the least, after a run that is not.
    """
    random = torch.Generator(device).manual_seed(0)

    def matrix(rows: int, columns: int) -> torch.Tensor:
        return torch.randn(rows, columns, device=device, generator=random).to(dtype)

    products = [
        (matrix(rows, inputs), matrix(outputs, inputs), 2 * rows * outputs * inputs)
        for rows, outputs, inputs in PRODUCTS[device.type]
    ]
    begun, best = clock(), 0.0
    for x, weight, _ in products:
        functional.linear(x, weight)
    while not best or clock() - begun < seconds:
        for x, weight, flops in products:
            started = clock()
            functional.linear(x, weight)
            best = max(best, flops / (clock() - started))
    return best
