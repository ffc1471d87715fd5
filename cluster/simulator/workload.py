"""Random requests of mixed canvases and prompts, arriving at random, for virtual and for real replicas alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from dllm_worker.request import Request, SamplingParameters
from dllm_worker.simulated.course import profile_of
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.simulated.profile import Progress, position_forwards
from dllm_worker.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Load:
    """Arithmetic for ``utilization`` of the replicas' time until the last request arrives.

    Arrivals are a Poisson process, of which a share of ``burst_share`` brings ``burst`` requests at once. An answer has
    one to ``most_canvases`` canvases of one of the lengths ``canvases``, the last one cut. A share of ``long_share`` of
    the prompts is long; these begin with one of ``documents`` texts.
    """

    utilization: float = 0.75
    burst_share: float = 0.1
    burst: int = 6
    canvases: tuple[int, ...] = (32, 64, 128, 256)
    most_canvases: int = 3
    short_prompt: int = 32
    long_prompt: int = 224
    long_share: float = 0.3
    documents: int = 12


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that comes after ``at`` seconds and takes ``alone`` seconds on a device that it has for itself."""

    at: float
    request: Request
    alone: float


def draw(
    load: Load, spec: ModelSpec, device: SimulatedDevice, replicas: int, requests: int, seed: int
) -> list[Arrival]:
    """The requests in order of arrival; the same for the same seed."""
    random = Random(seed)  # noqa: S311
    texts = [_tokens(random, spec, load.long_prompt) for _ in range(load.documents)]
    drawn = [_request(load, spec, texts, number, seed, random) for number in range(requests)]
    profiles = [profile_of(request, spec, device) for request in drawn]
    work = sum(position_forwards(profile) for profile in profiles) * device.per_position_seconds
    times = _times(load, requests, random)
    scale = work / (load.utilization * replicas) / times[-1]
    return [
        Arrival(at * scale, request, alone_seconds(request, spec, device))
        for at, request in zip(times, drawn, strict=True)
    ]


def alone_seconds(request: Request, spec: ModelSpec, device: SimulatedDevice) -> float:
    """What ``request`` takes in steps that nobody else shares and no budget cuts."""
    progress, seconds = Progress("", profile_of(request, spec, device)), 0.0
    while not progress.has_ended:
        positions = progress.demand.positions
        seconds += device.seconds(positions, 1)
        progress.serve(positions, 0)
    return seconds


def _times(load: Load, requests: int, random: Random) -> list[float]:
    times: list[float] = []
    at = 0.0
    while len(times) < requests:
        at += random.expovariate(1.0)
        times += [at] * (load.burst if random.random() < load.burst_share else 1)
    return times[:requests]


def _request(
    load: Load, spec: ModelSpec, texts: Sequence[tuple[int, ...]], number: int, seed: int, random: Random
) -> Request:
    length = random.choice(load.canvases)
    if random.random() < load.long_share:
        prompt = (*random.choice(texts), *_tokens(random, spec, random.randint(1, load.short_prompt)))
    else:
        prompt = _tokens(random, spec, random.randint(1, load.short_prompt))
    wanted = random.randint(1, load.most_canvases) * length - random.randint(0, length // 2)
    return Request(
        id=f"{seed}-{number}",
        prompt=prompt,
        max_tokens=min(wanted, spec.max_position - len(prompt)),
        canvas_length=length,
        sampling=SamplingParameters(seed=number),
    )


def _tokens(random: Random, spec: ModelSpec, count: int) -> tuple[int, ...]:
    return tuple(random.choices(range(spec.vocab_size), k=count))
