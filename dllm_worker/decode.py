"""From the hidden rows of the denoised canvases to their next state."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from dllm_worker.models.loading import LoadedModel
from dllm_worker.noise import NoiseKeys, order_uniform
from dllm_worker.request import Event
from dllm_worker.running import Running
from dllm_worker.sampling.samplers import Bounds, Scores, accept
from dllm_worker.sampling.schedule import quota
from dllm_worker.sampling.statistics import ProposalParameters, Statistics, head_statistics


def decode(hidden: Tensor, denoised: list[tuple[Running, int]], model: LoadedModel) -> list[Event]:
    """Advance every canvas of ``denoised`` by one step; the number beside it is its first row in ``hidden``."""
    if not denoised:
        return []
    device = hidden.device
    runs = [run for run, _ in denoised]
    rows = torch.cat([torch.arange(start, start + run.canvas.length, device=device) for run, start in denoised])
    masked = torch.cat([run.canvas.masked for run in runs]).nonzero().flatten()
    keys = _noise_keys(runs, device)
    statistics = head_statistics(
        hidden[rows[masked]],
        model.denoiser.output_embedding,
        model.suppressed,
        _proposal_parameters(runs, device).select(masked),
        keys.select(masked),
    ).spread(masked, rows.shape[0])
    lengths = [run.canvas.length for run in runs]
    accepted = accept(
        [run.request.sampling.algorithm for run in runs],
        _scores(runs, statistics, keys, torch.tensor(model.spec.eos_token_ids, device=device)),
        _bounds(runs, device),
    )
    proposals = torch.split(statistics.proposal, lengths)
    events: list[Event] = []
    for run, row, proposal in zip(runs, accepted, proposals, strict=True):
        events += run.advance(row[: run.canvas.length], proposal)
    return events


def _noise_keys(runs: list[Running], device: torch.device) -> NoiseKeys:
    """Row-wise ``(seed, canvas, step, position)`` of all canvases, end to end."""

    def spread(values: list[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=device).repeat_interleave(lengths)

    lengths = torch.tensor([run.canvas.length for run in runs], device=device)
    positions = [torch.arange(run.canvas.start, run.canvas.end, device=device) for run in runs]
    return NoiseKeys(
        seeds=spread([run.request.sampling.seed for run in runs]),
        canvases=spread([run.canvas.index for run in runs]),
        steps=spread([run.canvas.step for run in runs]),
        positions=torch.cat(positions),
    )


def _proposal_parameters(runs: list[Running], device: torch.device) -> ProposalParameters:
    lengths = torch.tensor([run.canvas.length for run in runs], device=device)
    sampling = [run.request.sampling for run in runs]
    return ProposalParameters(
        temperature=torch.tensor([s.temperature for s in sampling], device=device).repeat_interleave(lengths),
        top_p=torch.tensor([s.top_p for s in sampling], device=device).repeat_interleave(lengths),
        top_k=torch.tensor([s.top_k for s in sampling], device=device).repeat_interleave(lengths),
    )


def _scores(runs: list[Running], statistics: Statistics, keys: NoiseKeys, eos: Tensor) -> Scores:
    """Lay the flat rows out as ``[canvases, longest]``; padding counts as not masked."""
    lengths = [run.canvas.length for run in runs]

    def padded(rows: Tensor) -> Tensor:
        return pad_sequence(list(torch.split(rows, lengths)), batch_first=True)

    return Scores(
        masked=pad_sequence([run.canvas.masked for run in runs], batch_first=True),
        confidence=padded(statistics.confidence),
        entropy=padded(statistics.entropy),
        order=padded(order_uniform(keys)),
        ends=padded(torch.isin(statistics.proposal, eos)),
    )


def _bounds(runs: list[Running], device: torch.device) -> Bounds:
    sampling = [run.request.sampling for run in runs]
    exits = [-math.inf if s.entropy_exit is None else s.entropy_exit for s in sampling]
    return Bounds(
        quota=torch.tensor([_quota(run) for run in runs], device=device),
        threshold=torch.tensor([s.threshold for s in sampling], device=device),
        entropy_bound=torch.tensor([s.entropy_bound for s in sampling], device=device),
        entropy_exit=torch.tensor(exits, device=device),
        leftmost_eos=torch.tensor([s.leftmost_eos for s in sampling], device=device),
    )


def _quota(run: Running) -> int:
    canvas = run.canvas
    return quota(
        run.request.sampling.schedule, canvas.step, canvas.max_steps(run.request), canvas.opened, canvas.masked_len
    )
