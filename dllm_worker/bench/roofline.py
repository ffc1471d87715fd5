"""Step times over the roofline: what a step takes against what the machine could not do faster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dllm_worker.batch import BlockRows, pack
from dllm_worker.bench.ceilings import CeilingRuns, Ceilings
from dllm_worker.bench.peer import PeerStep
from dllm_worker.bench.shapes import LARGE, random_model, small_models
from dllm_worker.bench.timing import fastest
from dllm_worker.cache.attention import SegmentAttention
from dllm_worker.cache.pages import PagePool
from dllm_worker.models.loading import LoadedModel
from dllm_worker.noise import CountedNoise, NoiseKeys
from dllm_worker.sampling.statistics import ProposalParameters, conditioned_statistics, head_statistics
from dllm_worker.scheduling.planner import StepKind
from dllm_worker.work import Look, Work, network_cost

CONTEXT = 256
"""Cached positions before the rows of a prefill or reuse step."""
BLOCK = 64
"""Positions that a prefill adds to the cache at a time."""
ROWS = (64, 128, 256)
KINDS = (StepKind.PREFILL, StepKind.REFRESH, StepKind.REUSE)
REPETITIONS = 30


@dataclass(frozen=True, slots=True)
class StepTime:
    """One kind of step of ``rows`` rows. ``over_roofline`` is at least 1 as far as the ceilings are the machine's."""

    model: str
    step: str
    rows: int
    milliseconds: float
    roofline_milliseconds: float
    over_roofline: float
    bound: str


@dataclass(frozen=True, slots=True)
class Rooflines:
    """Both ceilings, and every step measured beside them."""

    ceilings: Ceilings
    steps: list[StepTime]


class Step:
    """One pass of an engine without its requests: rows packed, run through the network, reduced to statistics.

    A *prefill* writes blocks behind a cached context. A *reuse* step denoises one canvas against it, and a *refresh*
    computes the context as well: half of its rows are the canvas.
    """

    def __init__(self, name: str, model: LoadedModel, kind: StepKind, rows: int) -> None:
        self.name, self.model, self.kind, self.rows = name, model, kind, rows
        self.head_rows = {StepKind.PREFILL: 0, StepKind.REFRESH: rows // 2, StepKind.REUSE: rows}[kind]
        before = 0 if kind is StepKind.REFRESH else CONTEXT
        length = BLOCK if kind is StepKind.PREFILL else rows
        self.starts, self.stored = range(before, before + rows, length), kind is not StepKind.REUSE
        self.pool = PagePool(model.denoiser.cache_shape, 1, before + rows, model.dtype, model.device)
        allocation = self.pool.allocate("bench", before + rows)
        if allocation is None:
            raise RuntimeError("a pool of one page holds one page")
        for plane in (*self.pool.keys, *self.pool.values):
            plane.normal_()
        self.slots = allocation.slots
        self.tokens = torch.arange(before + rows, device=model.device) % model.spec.canvas_length
        self.length = length

    @property
    def label(self) -> str:
        return f"{self.name} {self.kind} {self.rows}"

    @property
    def work(self) -> Work:
        """What the step has to do at least."""
        looks = [Look(self.length, before=start, stored=self.stored) for start in self.starts]
        soft_rows = self.head_rows if self.model.spec.self_conditioning else 0
        return network_cost(self.model.denoiser).of(looks, self.head_rows, soft_rows)

    @torch.inference_mode()
    def run(self) -> None:
        denoiser = self.model.denoiser
        width = denoiser.input_embedding.shape[1] if self.model.spec.self_conditioning else None
        batch = pack([self._block(start) for start in self.starts], self.model.device, conditioning=width)
        hidden = denoiser(batch.rows, SegmentAttention(self.pool, batch.segments))
        if self.head_rows:
            self._statistics(hidden[self.rows - self.head_rows : self.rows])

    def _block(self, start: int) -> BlockRows:
        tokens, denoised = self.tokens[start : start + self.length], self.head_rows > 0
        return BlockRows(tokens, start, self.slots, stored=self.stored, denoised=denoised)

    def _statistics(self, hidden: Tensor) -> None:
        zeros = torch.zeros(len(hidden), dtype=torch.int64, device=self.model.device)
        parameters = ProposalParameters(zeros.float(), zeros.float() + 1, zeros, zeros.bool(), zeros.bool())
        asked = (self.model.denoiser.head, self.model.suppressed, parameters, NoiseKeys(zeros, zeros, zeros, zeros))
        if self.model.spec.self_conditioning:
            conditioned_statistics(hidden, *asked, CountedNoise(), self.model.denoiser.input_embedding)
        else:
            head_statistics(hidden, *asked, CountedNoise())


class Timed(Protocol):
    """A step that can be timed: what it is, what it has to do at least, and how it is run."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> StepKind: ...

    @property
    def rows(self) -> int: ...

    @property
    def label(self) -> str: ...

    @property
    def work(self) -> Work: ...

    def run(self) -> None: ...


def rooflines(dtype: str, device: str) -> Rooflines:
    """The large model at each of ``ROWS``, beside transformers', and a small one of every family at the smallest."""
    model = random_model(LARGE, dtype, device)
    large, cost = {"sdar, 103 M": model}, network_cost(model.denoiser)
    steps: list[Timed] = [PeerStep(LARGE, cost, dtype, device, rows) for rows in ROWS]
    steps += [
        Step(name, other, kind, rows)
        for models, sizes in ((large, ROWS), (small_models(dtype, device), ROWS[:1]))
        for name, other in models.items()
        for kind in KINDS
        for rows in sizes
    ]
    return measure(steps, model.dtype, model.device)


def measure(steps: Sequence[Timed], dtype: torch.dtype, device: torch.device) -> Rooflines:
    """Time ``steps``, and the ceilings, in turn."""
    machine = CeilingRuns(dtype, device)
    seconds = fastest(machine.runs | {step.label: step.run for step in steps}, REPETITIONS, device)
    ceilings = machine.ceilings(seconds)
    return Rooflines(ceilings, [_row(step, seconds[step.label], ceilings) for step in steps])


def _row(step: Timed, seconds: float, ceilings: Ceilings) -> StepTime:
    bound = ceilings.seconds(step.work)
    return StepTime(
        model=step.name,
        step=str(step.kind),
        rows=step.rows,
        milliseconds=1e3 * seconds,
        roofline_milliseconds=1e3 * bound,
        over_roofline=seconds / bound,
        bound=ceilings.bound(step.work),
    )
