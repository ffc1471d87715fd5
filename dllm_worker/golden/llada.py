"""LLaDA: ML-GSAI's ``generate`` and the three loops of Fast-dLLM over the same model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dllm_worker.golden.draws import Key, RecordedDraws, keyed
from dllm_worker.golden.record import Record
from dllm_worker.golden.scenario import Ending, Forwards, Row, Scenario, Step
from dllm_worker.request import CacheKind, CacheParameters, Request, SamplingParameters
from dllm_worker.scheduling.planner import StepKind
from dllm_worker.spec import ModelSpec

CACHES: Mapping[str, CacheKind] = {
    "llada.generate": "none",
    "fast_dllm.generate": "none",
    "fast_dllm.prefix_cache": "prefix",
    "fast_dllm.dual_cache": "dual",
}
KINDS = {
    "full": StepKind.REFRESH,
    "full_cond_and_uncond": StepKind.REFRESH,
    "cached_suffix": StepKind.REUSE,
    "cached_block": StepKind.REUSE,
}


def scenario(case: Record, spec: ModelSpec) -> Scenario:
    """A pass that commits nothing is one that the engine does not run."""
    asked, prompt = case.record("hyper_parameters"), case.ids("prompt_ids")
    answer, block = asked.whole("gen_length", least=1), asked.whole("block_length", least=1)
    if answer % block:
        raise asked.refuse("gen_length", f"it has to be a multiple of block_length {block}")
    cache = CacheParameters(_cache(case))
    request = Request(
        case.text("name"),
        prompt,
        max_tokens=answer,
        canvas_length=block,
        sampling=_sampling(asked, case, answer // block),
        cache=cache,
    )
    mask = asked.whole("mask_id")
    asked.refuse_others()
    records = case.records("steps")
    steps = [_step(record, len(prompt), answer, block) for record in records if record.ids("committed")]
    ending = Ending("final_ids", case.ids("final_ids"), lambda tokens: tokens)
    forwards = Forwards(case.whole("nfe_reference") - (len(records) - len(steps)))
    return Scenario(
        replace(spec, mask_token_id=mask),
        (Row(request, tuple(steps), (ending,), forwards),),
        RecordedDraws(orders=_orders(records)),
    )


def _cache(case: Record) -> CacheKind:
    if case.text("algorithm") not in CACHES:
        raise case.refuse("algorithm", f"there are {', '.join(CACHES)}")
    return CACHES[case.text("algorithm")]


def _sampling(asked: Record, case: Record, blocks: int) -> SamplingParameters:
    fast = case.text("algorithm") != "llada.generate"
    steps, remasking, guidance = asked.whole("steps", least=1), asked.text("remasking"), asked.number("cfg_scale")
    if asked.number("temperature"):
        raise asked.refuse("temperature", "the Gumbel noise of this loop is not recorded")
    if steps % blocks:
        raise asked.refuse("steps", f"it has to be a multiple of the {blocks} blocks")
    if remasking not in ("low_confidence", "random"):
        raise asked.refuse("remasking", "it has to be low_confidence or random")
    if guidance and fast:
        raise asked.refuse("cfg_scale", "Fast-dLLM's loops have no guidance")
    plain = SamplingParameters("low_confidence", steps // blocks, guidance=guidance, eos="ignore")
    for name in ("factor", "threshold"):
        if asked.given(name) and (not fast or remasking == "random"):
            raise asked.refuse(name, "it belongs to Fast-dLLM's loops with remasking low_confidence")
    if asked.given("factor"):
        return replace(plain, algorithm="factor", max_steps=None, factor=asked.number("factor"))
    if asked.given("threshold"):
        threshold = asked.number("threshold")
        return replace(plain, algorithm="confidence_threshold", max_steps=None, threshold=threshold)
    return plain if remasking == "low_confidence" else replace(plain, algorithm="random")


def _step(record: Record, prompt: int, answer: int, block: int) -> Step:
    eligible, committed = record.ids("eligible"), record.ids("committed")
    forward = record.text("forward")
    if forward not in KINDS:
        raise record.refuse("forward", f"there are {', '.join(KINDS)}")
    return Step(
        record.where,
        prompt,
        kind=KINDS[forward],
        computed=record.span("input_range") if record.given("input_range") else range(prompt + answer),
        eligible=eligible,
        proposed=record.zipped(committed, record.ids("tokens"), "tokens"),
        confidence=record.zipped(eligible, record.numbers("confidence"), "confidence"),
        accepted=committed,
        after=record.ids("canvas_after"),
    )


def _orders(records: list[Record]) -> dict[Key, float]:
    """The random confidences; the steps of a block are counted from 0."""
    orders: dict[Key, float] = {}
    taken: dict[int, int] = {}
    for record in records:
        block, eligible = record.whole("block"), record.ids("eligible")
        step = taken[block] = taken.get(block, -1) + 1
        if record.given("random_confidence"):
            drawn = record.zipped(eligible, record.numbers("random_confidence"), "random_confidence")
            orders |= keyed(drawn, block, step)
    return orders
