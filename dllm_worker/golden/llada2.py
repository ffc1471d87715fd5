"""LLaDA2's and LLaDA2.1's ``generate``: the whole window is recomputed, which exact caching does not change."""

from __future__ import annotations

from dataclasses import replace

from dllm_worker.golden.draws import Key, RecordedDraws, chooses_by_uniforms, keyed
from dllm_worker.golden.record import Record
from dllm_worker.golden.scenario import Ending, Forwards, Row, Scenario, Step, Tokens, had_ended, rounded_up, until
from dllm_worker.request import Request, SamplingParameters
from dllm_worker.spec import ModelSpec


def scenario(case: Record, spec: ModelSpec) -> Scenario:
    """Every pass of the reference up to the end of its answer is a denoising pass of the engine."""
    asked, prompt = case.record("hyper_parameters"), case.ids("prompt_ids")
    length, block, eos = asked.whole("gen_length"), asked.whole("block_length", least=1), asked.whole("eos_id")
    mask, by_uniforms = asked.whole("mask_id"), chooses_by_uniforms(asked)
    request = Request(
        case.text("name"),
        prompt,
        max_tokens=rounded_up(len(prompt) + length, block) - len(prompt),
        canvas_length=block,
        sampling=_sampling(asked, case, length),
    )
    asked.refuse_others()
    records = case.records("steps")
    steps = [_step(record, block) for record in records]
    if request.sampling.eos == "prefix":
        steps = [step for step in steps if not had_ended(step, len(prompt), eos, mask)]

    def generated(tokens: Tokens) -> Tokens:
        return until(tokens[len(prompt) : len(prompt) + length], (eos,))

    endings = (
        Ending("final_ids", case.ids("final_ids"), lambda tokens: prompt + generated(tokens)),
        Ending("generated_ids", case.ids("generated_ids"), generated),
    )
    return Scenario(
        replace(spec, mask_token_id=mask, eos_token_ids=(eos,)),
        (Row(request, tuple(steps), endings, Forwards(case.whole("forwards") - len(records) + len(steps))),),
        RecordedDraws(_uniforms(records, block, len(prompt)) if by_uniforms else None),
    )


def _sampling(asked: Record, case: Record, length: int) -> SamplingParameters:
    early, temperature = asked.flag("eos_early_stop"), asked.number("temperature")
    plain = SamplingParameters(
        threshold=asked.number("threshold"),
        temperature=temperature,
        top_k=asked.whole("top_k") if asked.given("top_k") else 0,
        top_p=asked.number("top_p") if asked.given("top_p") else 1.0,
    )
    if case.text("algorithm") == "llada2.generate":
        least = asked.whole("minimal_topk", least=1) if asked.given("minimal_topk") else 1
        if least > length:
            raise asked.refuse("minimal_topk", "it leaves no step")
        steps = min(asked.whole("steps", least=1), length // least)
        return replace(plain, algorithm="quota_threshold", max_steps=steps, eos="prefix" if early else "canvas")
    if case.text("algorithm") == "llada21.generate":
        return replace(
            plain,
            algorithm="joint_threshold",
            quota=asked.whole("num_to_transfer", least=1),
            editing_threshold=asked.number("editing_threshold"),
            max_post_steps=asked.whole("max_post_steps"),
            eos="canvas" if early else "ignore",
        )
    raise case.refuse("algorithm", "there are llada2.generate and llada21.generate")


def _step(record: Record, block: int) -> Step:
    start = record.whole("block") * block
    masked = record.ids("eligible")
    confidence = record.zipped(masked, record.numbers("confidence"), "confidence")
    settled: Tokens = ()
    if record.given("edit_candidates"):
        settled = record.ids("edit_candidates")
        name = "edit_candidate_confidence"
        confidence |= record.zipped(settled, record.numbers(name), name)
    return Step(
        record.where,
        start,
        computed=range(start, record.span("window").stop),
        eligible=tuple(sorted(masked + settled)),
        quota=min(record.whole("quota"), len(masked)),
        proposed=record.zipped(masked, record.ids("proposed"), "proposed"),
        confidence=confidence,
        accepted=record.ids("committed"),
        edited=record.ids("edited") if record.given("edited") else (),
        after=record.ids("block_after"),
    )


def _uniforms(records: list[Record], block: int, prompt: int) -> dict[Key, float]:
    uniforms: dict[Key, float] = {}
    for record in records:
        number = record.whole("block")
        positions = tuple(range(number * block, (number + 1) * block))
        drawn = record.zipped(positions, record.numbers("uniforms"), "uniforms")
        uniforms |= keyed(drawn, number - prompt // block, record.whole("step"))
    return uniforms
