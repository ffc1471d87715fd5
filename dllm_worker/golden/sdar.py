"""SDAR's ``block_diffusion_generate``: blocks on an absolute grid, full prompt blocks prefilled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dllm_worker.golden.draws import Key, RecordedDraws, chooses_by_uniforms, keyed
from dllm_worker.golden.record import Record
from dllm_worker.golden.scenario import Ending, Forwards, Row, Scenario, Step, filled, rounded_up
from dllm_worker.request import Algorithm, Request, SamplingParameters
from dllm_worker.spec import ModelSpec

STRATEGIES: Mapping[str, Algorithm] = {
    "low_confidence_static": "low_confidence",
    "low_confidence_dynamic": "quota_threshold",
    "sequential": "leftmost",
    "entropy_bounded": "entropy_sum",
}


def scenario(case: Record, spec: ModelSpec) -> Scenario:
    """Stored blocks join the next denoising pass; the reference stores the last one too, the engine does not."""
    asked = case.record("hyper_parameters")
    prompt, block = case.ids("prompt_ids"), asked.whole("block_length", least=1)
    total = rounded_up(len(prompt) + asked.whole("gen_length"), block)
    mask, by_uniforms = asked.whole("mask_id"), chooses_by_uniforms(asked)
    request = Request(
        case.text("name"),
        prompt,
        max_tokens=total - len(prompt),
        canvas_length=block,
        sampling=_sampling(asked),
    )
    eos = asked.ids("stop_token_ids") if asked.given("stop_token_ids") else ()
    asked.refuse_others()
    steps: list[Step] = []
    uniforms: dict[Key, float] = {}
    for record in case.records("steps"):
        if record.text("forward") == "store_kv":
            continue
        start = record.whole("block") * block
        steps.append(_step(record, range(start, start + block)))
        if by_uniforms:
            drawn = record.zipped(tuple(range(start, start + block)), record.numbers("uniforms"), "uniforms")
            uniforms |= keyed(drawn, record.whole("block") - len(prompt) // block, record.whole("step"))
    ending = Ending("final_ids", case.ids("final_ids"), filled(total, mask))
    forwards = Forwards(case.whole("forwards_denoise"), case.whole("forwards_store_kv") - 1)
    return Scenario(
        replace(spec, mask_token_id=mask, eos_token_ids=eos),
        (Row(request, tuple(steps), (ending,), forwards),),
        RecordedDraws(uniforms if by_uniforms else None),
    )


def _sampling(asked: Record) -> SamplingParameters:
    """The rule of ``entropy_bounded`` has no quota but the one position that is always accepted."""
    strategy, temperature = asked.text("remasking_strategy"), asked.number("temperature")
    if strategy not in STRATEGIES:
        raise asked.refuse("remasking_strategy", f"there are {', '.join(STRATEGIES)}")
    if temperature < 0:
        raise asked.refuse("temperature", "it is at least 0, which takes the best token")
    steps = asked.whole("denoising_steps", least=1)
    return SamplingParameters(
        algorithm=STRATEGIES[strategy],
        max_steps=None if strategy == "entropy_bounded" else steps,
        threshold=_own(asked, "confidence_threshold", used=strategy == "low_confidence_dynamic"),
        entropy_bound=_own(asked, "eb_threshold", used=strategy == "entropy_bounded"),
        temperature=temperature,
        top_k=asked.whole("top_k") if asked.given("top_k") else 0,
        top_p=asked.number("top_p") if asked.given("top_p") else 1.0,
        eos="canvas",
    )


def _own(asked: Record, name: str, *, used: bool) -> float:
    """A number that only one strategy reads; for the others it may be anything."""
    return asked.number(name) if used or asked.given(name) else 0.0


def _step(record: Record, canvas: range) -> Step:
    eligible = record.ids("eligible")
    by_entropy = record.given("entropy")
    name = "entropy" if by_entropy else "confidence"
    scores = record.zipped(eligible, record.numbers(name), name)
    return Step(
        record.where,
        canvas.start,
        computed=canvas,
        eligible=eligible,
        quota=None if by_entropy else record.whole("quota"),
        proposed=record.zipped(eligible, record.ids("proposed"), "proposed"),
        accepted=record.ids("committed"),
        confidence={} if by_entropy else scores,
        entropy=scores if by_entropy else {},
        after=record.ids("block_after"),
    )
