"""What a simulated device makes of a request: its passes and its tokens, as pure functions of the request.

So a request gives the same tokens after the same steps on every replica, alone, in company, and after an interruption.
The tokens mean nothing, no text ends early, and what a step settles is a prefix of its canvas.
"""

from __future__ import annotations

from hashlib import blake2b

from dllm_worker.canvas import Canvas, attention_of, canvas_end, first_start, streams, total_length
from dllm_worker.capabilities import reads
from dllm_worker.request import Request, SamplingParameters
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.simulated.profile import Profile
from dllm_worker.spec import ModelSpec

EARLY_EXITS = frozenset({"threshold", "factor", "entropy_bound"})
"""Parameters of algorithms that settle a canvas as soon as they are sure of it."""

USUAL_THRESHOLD = SamplingParameters().threshold


def profile_of(request: Request, spec: ModelSpec, device: SimulatedDevice) -> Profile:
    """The passes of ``request``. A sequence that sees both ways and has no cache is refreshed in each step."""
    starts = canvas_starts(request, spec)
    ends = [canvas_end(request, spec, start) for start in starts]
    steps = tuple(
        _steps(request, spec, device, Canvas(index, start, end, _holes(request, start, end)))
        for index, (start, end) in enumerate(zip(starts, ends, strict=True))
    )
    lengths = tuple(end - start for start, end in zip(starts, ends, strict=True))
    return Profile(starts[0], lengths, steps, _refresh_every(request, spec), streams(request))


def canvas_starts(request: Request, spec: ModelSpec) -> list[int]:
    """Where each canvas of the answer begins."""
    starts, total = [first_start(request, spec)], total_length(request)
    while (end := canvas_end(request, spec, starts[-1])) < total:
        starts.append(end)
    return starts


def ordinary_tokens(spec: ModelSpec) -> tuple[int, ...]:
    """The vocabulary without what ends or masks a text, and without what is never proposed."""
    special = {*spec.eos_token_ids, *spec.suppressed_token_ids, spec.mask_token_id}
    return tuple(token for token in range(spec.vocab_size) if token not in special)


def token_at(request: Request, position: int, vocabulary: tuple[int, ...]) -> int:
    """The token at ``position`` behind the prompt: the template's, or one drawn by seed and position."""
    pinned = None if request.template is None else request.template[position]
    return vocabulary[_draw(request, "token", position) % len(vocabulary)] if pinned is None else pinned


def _steps(request: Request, spec: ModelSpec, device: SimulatedDevice, canvas: Canvas) -> int:
    """The step bound, or for an early exit about as many steps as the device takes for so many masks.

    Half as many at the least and half as many more at the most, in proportion to the threshold.
    """
    bound, sampling = max(1, canvas.max_steps(request, spec)), request.sampling
    read = reads(sampling.algorithm, template=request.template is not None)
    if not read & EARLY_EXITS:
        return bound
    mean = device.steps * canvas.opened / spec.canvas_length
    if "threshold" in read:
        mean *= sampling.threshold / USUAL_THRESHOLD
    return min(bound, max(1, round(mean * (0.5 + _draw(request, "steps", canvas.index) / 2**64))))


def _holes(request: Request, start: int, end: int) -> int:
    prompt = len(request.prompt)
    if request.template is None:
        return end - max(start, prompt)
    return sum(cell is None for cell in request.template)


def _refresh_every(request: Request, spec: ModelSpec) -> int | None:
    if attention_of(request, spec) != "bidirectional":
        return None
    if request.cache.kind == "none":
        return 1
    return request.cache.refresh_every or spec.max_position


def _draw(request: Request, purpose: str, number: int) -> int:
    """64 random bits, named by the request's seed."""
    name = f"{request.sampling.seed} {purpose} {number}".encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "little")
