"""What this machine can do at best: multiply matrices, and move memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch.nn import functional

from dllm_worker.bench.timing import Run
from dllm_worker.peak import PRODUCTS
from dllm_worker.work import Work

COPIED_BYTES = {"cpu": 1 << 28, "cuda": 1 << 31}
"""More than fits in any cache."""


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The highest rates seen; a copy counts what it reads and what it writes."""

    flops_per_second: float
    bytes_per_second: float

    def seconds(self, work: Work) -> float:
        """The roofline (Williams et al., CACM 2009): no pass can be faster than the slower of its two ceilings."""
        return max(work.flops / self.flops_per_second, work.bytes / self.bytes_per_second)

    def bound(self, work: Work) -> str:
        """The ceiling that decides."""
        computing = work.flops / self.flops_per_second >= work.bytes / self.bytes_per_second
        return "compute" if computing else "memory"


class CeilingRuns:
    """What is to be timed beside the steps that are compared with it."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.runs: dict[str, Run] = {}
        self._work: dict[str, Work] = {}
        for rows, outputs, inputs in PRODUCTS[device.type]:
            x = torch.randn(rows, inputs, device=device).to(dtype)
            weight = torch.randn(outputs, inputs, device=device).to(dtype)
            self._add(f"product {rows}x{outputs}x{inputs}", _product(x, weight), Work(2 * rows * outputs * inputs, 0))
        source = torch.zeros(COPIED_BYTES[device.type], dtype=torch.uint8, device=device)
        self._add("copy", _copy(torch.empty_like(source), source), Work(0, 2 * source.numel()))

    def _add(self, name: str, run: Run, work: Work) -> None:
        self.runs[name], self._work[name] = run, work

    def ceilings(self, seconds: Mapping[str, float]) -> Ceilings:
        """From the ``seconds`` that :attr:`runs` took."""
        return Ceilings(
            max(work.flops / seconds[name] for name, work in self._work.items()),
            max(work.bytes / seconds[name] for name, work in self._work.items()),
        )


def _product(x: torch.Tensor, weight: torch.Tensor) -> Run:
    return lambda: functional.linear(x, weight)


def _copy(target: torch.Tensor, source: torch.Tensor) -> Run:
    return lambda: target.copy_(source)
