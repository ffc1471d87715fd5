"""DiffusionGemma's ``generate`` (transformers): whole canvases of random tokens that become their argmax."""

from __future__ import annotations

from dataclasses import replace

from dllm_worker.golden.draws import Key, RecordedDraws, chooses_by_uniforms, keyed
from dllm_worker.golden.record import Record
from dllm_worker.golden.scenario import Ending, Forwards, Row, Scenario, Step, Tokens, rounded_up, until
from dllm_worker.request import Request, SamplingParameters
from dllm_worker.spec import ModelSpec

TOLERANCE = 5e-4
"""Self-conditioning feeds floats back, so rounding grows along a canvas."""
REMARKS = ("algorithm", "tokens_per_forward", "entropy_drift", "steps_per_canvas", "margins")


def scenario(case: Record, spec: ModelSpec) -> Scenario:
    """The context pass of a canvas joins its first denoising pass. A canvas that stops becomes its argmax."""
    prompt, length = case.ids("prompt_ids"), spec.canvas_length
    total = len(prompt) + rounded_up(case.whole("max_new_tokens", least=1), length)
    eos = case.one_or_more_ids("eos_token_id") if case.given("eos_token_id") else ()
    pad = case.whole("pad_token_id") if case.given("pad_token_id") else None
    request = Request(case.text("name"), prompt, max_tokens=total - len(prompt), sampling=_sampling(case))
    by_uniforms = chooses_by_uniforms(case)
    steps, fresh, uniforms = _passes(case, length)
    final = case.ids("final_ids")
    forwards = Forwards(case.whole("decoder_forwards"), case.whole("encoder_forwards"))
    for remark in REMARKS:
        case.given(remark)
    case.refuse_others()

    def padded(tokens: Tokens) -> Tokens:
        if pad is None:
            return tokens
        written = prompt + until(tokens[len(prompt) :], eos)
        return (*written, *[pad] * (len(tokens) - len(written)))

    row = Row(request, steps, (Ending("final_ids", final, padded),), forwards)
    draws = RecordedDraws(uniforms if by_uniforms else None, fresh=fresh)
    return Scenario(replace(spec, eos_token_ids=eos), (row,), draws, TOLERANCE)


def _passes(case: Record, length: int) -> tuple[tuple[Step, ...], dict[Key, int], dict[Key, float]]:
    """The steps of all canvases, their random tokens and, where there are any, the uniforms that chose tokens."""
    steps, fresh, uniforms = [], dict[Key, int](), dict[Key, float]()
    for number, canvas in enumerate(case.records("canvases")):
        start, records = canvas.whole("encoder_cache_len"), canvas.records("steps")
        positions = tuple(range(start, start + length))
        fresh |= keyed(canvas.zipped(positions, canvas.ids("initial_canvas"), "initial_canvas"), number, 0)
        for place, record in enumerate(records):
            steps.append(_step(record, positions, last=place + 1 == len(records)))
            fresh |= keyed(record.zipped(positions, record.ids("random_canvas"), "random_canvas"), number, place + 1)
            if record.given("uniforms"):
                drawn = record.zipped(positions, record.numbers("uniforms"), "uniforms")
                uniforms |= keyed(drawn, number, place)
    return tuple(steps), fresh, uniforms


def _sampling(case: Record) -> SamplingParameters:
    return SamplingParameters(
        algorithm="renoise",
        max_steps=case.whole("max_denoising_steps", least=1),
        entropy_bound=case.number("entropy_bound"),
        entropy_exit=case.number("confidence_threshold"),
        stability=case.whole("stability_threshold"),
        t_min=case.number("t_min"),
        t_max=case.number("t_max"),
        eos="canvas",
    )


def _step(record: Record, positions: Tokens, *, last: bool) -> Step:
    accepted = record.zipped(positions, record.ids("accepted_mask"), "accepted_mask")
    if record.flag("stop") and not last:
        raise record.refuse("stop", "further steps of the canvas follow")
    return Step(
        record.where,
        positions[0],
        computed=range(positions[0], positions[-1] + 1),
        eligible=positions,
        proposed=record.zipped(positions, record.ids("denoiser_canvas"), "denoiser_canvas"),
        entropy=record.zipped(positions, record.numbers("token_entropy"), "token_entropy"),
        accepted=tuple(position for position, taken in accepted.items() if taken),
        best=record.ids("argmax_canvas"),
        before=record.ids("canvas_in"),
        after=record.ids("argmax_canvas" if last else "canvas_out"),
    )
