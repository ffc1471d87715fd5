"""Fast-dLLM v2's ``generate``: blocks in parts, each opened by the token that storing the block before predicts."""

from __future__ import annotations

from dataclasses import replace

from dllm_worker.golden.draws import Key, RecordedDraws, chooses_by_uniforms, keyed
from dllm_worker.golden.record import Record
from dllm_worker.golden.scenario import Ending, Forwards, Row, Scenario, Step, until
from dllm_worker.golden.seeds import seed_step
from dllm_worker.request import CacheParameters, Request, SamplingParameters
from dllm_worker.spec import ModelSpec


def scenario(case: Record, spec: ModelSpec) -> Scenario:
    """The trailing token of the answer is the first of a last block, which the engine cuts to that token."""
    asked, prompt = case.record("hyper_parameters"), case.ids("prompt_ids")
    block, part = asked.whole("block_size", least=1), asked.whole("small_block_size", least=1)
    blocks = asked.whole("max_new_tokens") // block
    if blocks == 0:
        raise asked.refuse("max_new_tokens", f"it has to hold a block of {block}")
    if len(prompt) == block:
        raise case.refuse("prompt_ids", "the reference ignores a prompt of exactly one block")
    if block % part:
        raise asked.refuse("small_block_size", f"it has to divide block_size {block}")
    stop, mask, by_uniforms = asked.whole("stop_token"), asked.whole("mask_id"), chooses_by_uniforms(asked)
    request = Request(
        case.text("name"),
        prompt,
        max_tokens=(len(prompt) // block + blocks) * block + 1 - len(prompt),
        canvas_length=block,
        sampling=SamplingParameters(
            algorithm="confidence_threshold",
            threshold=asked.number("threshold"),
            temperature=asked.number("temperature"),
            top_p=asked.number("top_p") if asked.given("top_p") else 1.0,
        ),
        cache=CacheParameters("dual" if asked.flag("use_block_cache") else "none"),
    )
    asked.refuse_others()
    final = case.ids("final_ids")
    records = case.records("steps")
    steps, surplus = _steps(records, len(final))
    uniforms = _uniforms(records, block, part, len(prompt)) if by_uniforms else None
    ending = Ending("final_ids", final, lambda tokens: prompt + until(tokens[len(prompt) :], (stop,)))
    forwards = Forwards(
        case.whole("forwards_full_block") + case.whole("forwards_sub_block_cached"),
        case.whole("forwards_prefill") + case.whole("forwards_commit") - surplus,
    )
    facts = replace(spec, mask_token_id=mask, eos_token_ids=(stop,), sub_canvas_length=part)
    return Scenario(facts, (Row(request, steps, (ending,), forwards),), RecordedDraws(uniforms))


def _steps(records: list[Record], length: int) -> tuple[tuple[Step, ...], int]:
    """The passes that the engine makes too, and how many blocks are stored for a token that is not used."""
    steps, surplus = [], 0
    for record in records:
        forward = record.text("forward")
        if forward in ("full_block", "sub_block_cached"):
            steps.append(_denoising(record))
        elif forward in ("prefill", "commit_block"):
            seed = seed_step(record, length)
            surplus += seed is None and forward == "commit_block"
            steps += [] if seed is None else [seed]
        else:
            raise record.refuse("forward", "it is not known")
    return tuple(steps), surplus


def _denoising(record: Record) -> Step:
    eligible = record.ids("eligible")
    return Step(
        record.where,
        record.whole("block_start"),
        computed=record.span("input_range"),
        eligible=eligible,
        proposed=record.zipped(eligible, record.ids("proposed"), "proposed"),
        confidence=record.zipped(eligible, record.numbers("confidence"), "confidence"),
        accepted=record.ids("committed"),
        after=record.ids("block_after"),
    )


def _uniforms(records: list[Record], block: int, part: int, prompt: int) -> dict[Key, float]:
    """One a position of the part; the denoising passes of a block are counted from 0."""
    uniforms: dict[Key, float] = {}
    taken: dict[int, int] = {}
    for record in records:
        if not record.given("uniforms"):
            continue
        start = record.whole("block_start")
        step = taken[start] = taken.get(start, -1) + 1
        first = start + record.whole("sub_block") * part
        drawn = record.zipped(tuple(range(first, first + part)), record.numbers("uniforms"), "uniforms")
        uniforms |= keyed(drawn, start // block - prompt // block, step)
    return uniforms
