"""Who took part in a forward pass, and which of its rows each wants to see predicted."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_worker.canvas import Canvas
from dllm_worker.decoding.passes import Pass
from dllm_worker.noise import NoiseKeys
from dllm_worker.running import Running
from dllm_worker.sampling.samplers import SAMPLERS
from dllm_worker.sampling.schedule import temperature_at
from dllm_worker.sampling.statistics import ProposalParameters


@dataclass(frozen=True, slots=True)
class Turn:
    """A request's share of a pass: what it fed, from which row of the batch on. Its streams lie end to end."""

    run: Running
    fed: Pass
    row: int

    @property
    def stop(self) -> int:
        """The first row of whoever comes next."""
        return self.row + self.fed.positions * len(self.run.slots)

    def predicting(self, hidden: Tensor) -> Tensor:
        """The hidden rows ``[eligible, width]`` that predict this turn's positions.

        Guidance combines its two streams here, which is the same as combining their logits
        (``without + (1 + scale) (with - without)``), because the head is linear.
        """
        streams = [self._stream(hidden, number) for number in range(len(self.run.slots))]
        if len(streams) == 1:
            return streams[0]
        guided, unguided = streams
        return unguided + (1 + self.run.request.sampling.guidance) * (guided - unguided)

    def _stream(self, hidden: Tensor, number: int) -> Tensor:
        sources = self.fed.sources()
        start = self.row + number * self.fed.positions
        rows = hidden[(sources.clamp(min=0) + start).to(hidden.device)]
        if self.run.carry is not None and bool((sources < 0).any()):
            rows[(sources < 0).to(rows.device)] = self.run.carry[number]
        return rows

    def carry(self, hidden: Tensor) -> Tensor | None:
        """The hidden rows ``[streams, width]`` of the last context position, if this pass wrote it."""
        last = self.run.canvas.start - 1 - self.fed.start
        if not 0 <= last < self.fed.stored_stop - self.fed.start:
            return None
        return torch.stack([hidden[self.row + n * self.fed.positions + last] for n in range(len(self.run.slots))])

    def views(self) -> list[View]:
        """The canvases of this turn with their share of its eligible positions."""
        if len(self.run.canvases) == 1:
            return [View(self, self.run.canvas, self.fed.eligible)]
        wanted = self.fed.eligible
        split = [wanted[(wanted >= c.start) & (wanted < c.end)] for c in self.run.canvases]
        return [View(self, c, own) for c, own in zip(self.run.canvases, split, strict=True)]


@dataclass(frozen=True, slots=True)
class View:
    """One canvas in one turn, and those of its positions whose predictions were computed."""

    turn: Turn
    canvas: Canvas
    positions: Tensor

    @property
    def run(self) -> Running:
        return self.turn.run

    @property
    def cells(self) -> Tensor:
        """The positions counted from the start of the canvas."""
        return self.positions - self.canvas.start

    @property
    def temperature(self) -> float:
        """That of this step's proposals; without a mask it falls from step to step."""
        run, sampling = self.run, self.run.request.sampling
        if run.spec.corruption == "uniform":
            steps = self.canvas.max_steps(run.request, run.spec)
            return temperature_at(sampling.t_min, sampling.t_max, self.canvas.step, steps)
        if self.turn.fed.outcome == "take" and run.spec.conventions.greedy_seed:
            return 0.0
        return sampling.temperature

    @property
    def tempered(self) -> bool:
        """Whether confidence and entropy are those of the distribution that tokens are drawn from."""
        run = self.run
        if run.spec.corruption == "uniform" or SAMPLERS[run.request.sampling.algorithm].ranks_proposals:
            return True
        return run.spec.conventions.confidence == "proposal"


def proposal_parameters(views: list[View], device: torch.device) -> ProposalParameters:
    """How each of the views' positions proposes its token."""
    counts = torch.tensor([len(view.positions) for view in views])
    sampling = [view.run.request.sampling for view in views]
    asked = [view.run.request.logprobs for view in views]
    alternatives = [count for count in asked if count is not None]

    def spread(values: list[float] | list[int] | list[bool]) -> Tensor:
        return torch.tensor(values).repeat_interleave(counts).to(device)

    return ProposalParameters(
        temperature=spread([view.temperature for view in views]),
        top_p=spread([s.top_p for s in sampling]),
        top_k=spread([s.top_k for s in sampling]),
        tempered=spread([view.tempered for view in views]),
        nucleus_first=spread([view.run.spec.conventions.nucleus_first for view in views]),
        asked=spread([count is not None for count in asked]) if alternatives else None,
        alternatives=max(alternatives, default=0),
    )


def noise_keys(views: list[View], device: torch.device) -> NoiseKeys:
    """The names of the draws that propose tokens at the views' positions."""
    keys = [view.run.noise_keys(view.canvas, view.positions, view.canvas.step) for view in views]
    return NoiseKeys(
        torch.cat([key.seeds for key in keys]).to(device),
        torch.cat([key.canvases for key in keys]).to(device),
        torch.cat([key.steps for key in keys]).to(device),
        torch.cat([key.positions for key in keys]).to(device),
    )
