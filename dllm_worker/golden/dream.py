"""Dream's ``diffusion_generate``, and the block-wise one that Fast-dLLM made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dllm_worker.golden.draws import Key, RecordedDraws, keyed
from dllm_worker.golden.record import Record
from dllm_worker.golden.scenario import Ending, Forwards, Row, Scenario, Step
from dllm_worker.request import Algorithm, CacheParameters, Request, SamplingParameters
from dllm_worker.scheduling.planner import StepKind
from dllm_worker.spec import ModelSpec

ALGORITHMS: Mapping[str, Algorithm] = {
    "origin": "ancestral",
    "entropy": "low_entropy",
    "maskgit_plus": "maskgit_plus",
    "topk_margin": "topk_margin",
    "confidence_threshold": "capped_threshold",
}
OPENING = "first_token_of_block"


def scenario(case: Record, spec: ModelSpec) -> Scenario:
    """A pass that commits nothing, because its quota is 0 or no draw lifts a mask, is one the engine does not run."""
    asked, prompt = case.record("hyper_parameters"), case.ids("prompt_ids")
    answer, mask = asked.whole("max_new_tokens", least=1), asked.whole("mask_id")
    block = asked.whole("block_length", least=1) if asked.given("block_length") else answer
    if answer % block:
        raise asked.refuse("block_length", f"it has to divide max_new_tokens {answer}")
    request = Request(
        case.text("name"),
        prompt,
        max_tokens=answer,
        canvas_length=block,
        sampling=_sampling(asked, answer // block),
        cache=_cache(asked),
    )
    conventions = replace(spec.conventions, end_time=asked.number("eps"))
    asked.refuse_others()
    records = case.records("steps_log")
    steps = [_step(record, len(prompt)) for record in records if record.ids("committed")]
    orders: dict[Key, float] = {}
    for record in records:
        if record.given("uniforms"):
            drawn = record.zipped(record.ids("eligible"), record.numbers("uniforms"), "uniforms")
            orders |= keyed(drawn, 0, record.whole("step"))
    ending = Ending("final_ids", case.ids("final_ids"), lambda tokens: tokens)
    idle = len(records) - len(steps)
    forwards = Forwards(case.whole("forwards_full") + case.whole("forwards_cached") - idle)
    row = Row(request, tuple(steps), (ending,), forwards)
    return Scenario(replace(spec, mask_token_id=mask, conventions=conventions), (row,), RecordedDraws(orders=orders))


def _cache(asked: Record) -> CacheParameters:
    if not asked.given("block_length"):
        if asked.given("dual_cache"):
            raise asked.refuse("dual_cache", "there is no cache without block_length")
        return CacheParameters()
    return CacheParameters("dual" if asked.flag("dual_cache") else "prefix")


def _sampling(asked: Record, blocks: int) -> SamplingParameters:
    """Temperature 0 takes the best token of the filtered distribution, as temperature 1 does with argmax for chance."""
    name, steps = asked.text("alg"), asked.whole("steps", least=1)
    if name not in ALGORITHMS:
        raise asked.refuse("alg", f"there are {', '.join(ALGORITHMS)}")
    for chance in ("temperature", "alg_temp"):
        if asked.given(chance) and asked.number(chance):
            raise asked.refuse(chance, "the draws that it asks for are not recorded")
    if steps % blocks:
        raise asked.refuse("steps", f"it has to be a multiple of the {blocks} blocks")
    plain = SamplingParameters(
        ALGORITHMS[name],
        steps // blocks,
        schedule="dream",
        eos="ignore",
        temperature=1.0,
        top_k=asked.whole("top_k") if asked.given("top_k") else 0,
        top_p=asked.number("top_p") if asked.given("top_p") else 1.0,
    )
    if name != "confidence_threshold":
        if asked.given("threshold"):
            raise asked.refuse("threshold", "it belongs to alg confidence_threshold")
        return replace(plain, algorithm="low_entropy") if asked.given("block_length") else plain
    threshold = asked.number("threshold")
    if asked.given("block_length"):
        return replace(plain, algorithm="confidence_threshold", max_steps=None, schedule="linear", threshold=threshold)
    return replace(plain, schedule="linear", threshold=threshold)


def _step(record: Record, prompt: int) -> Step:
    eligible, mode = record.ids("eligible"), record.text("mode")
    scores = record.zipped(eligible, record.numbers("confidence"), "confidence")
    cached = record.given("block")
    plain = Step(
        record.where,
        prompt,
        outcome="take" if mode == OPENING else "rule",
        kind=StepKind.REFRESH if record.text("forward") == "full" else StepKind.REUSE,
        computed=record.span("input_range"),
        eligible=eligible,
        quota=record.whole("quota") if record.given("quota") else None,
        proposed=record.zipped(eligible, record.ids("proposed"), "proposed"),
        accepted=record.ids("committed"),
        after=record.ids("canvas_after"),
    )
    if mode == "entropy" or (cached and mode not in (OPENING, "confidence_threshold")):
        return replace(plain, entropy={position: -score for position, score in scores.items()})
    if mode == "topk_margin":
        return replace(plain, margin=scores)
    return replace(plain, confidence=scores)
