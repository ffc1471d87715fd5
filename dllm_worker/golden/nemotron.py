"""Nemotron-Labs-Diffusion: block diffusion over a causal or a blockwise context, drafts that it checks, and greedy."""

from __future__ import annotations

from dataclasses import replace

from dllm_worker.golden.record import Record
from dllm_worker.golden.scenario import Ending, Forwards, Row, Scenario, Step, Tokens, had_ended, until
from dllm_worker.golden.seeds import seed_step
from dllm_worker.request import Request, SamplingParameters
from dllm_worker.spec import ModelSpec

UNKNOWN_TO = {
    "generate": (),
    "linear_spec_generate": ("causal_context",),
    "ar_generate": ("block_length", "threshold", "causal_context"),
}


def scenario(case: Record, spec: ModelSpec) -> Scenario:
    """The reference stores the last block and predicts what would follow; the engine does not."""
    asked, name = case.record("hyper_parameters"), case.text("algorithm").removeprefix(f"{spec.family}.")
    if asked.given("temperature") and asked.number("temperature"):
        raise asked.refuse("temperature", "the draws that it asks for are not recorded")
    rows = {"generate": _diffusion, "linear_spec_generate": _speculation, "ar_generate": _greedy}
    if name not in rows:
        raise case.refuse("algorithm", f"there are {', '.join(rows)}")
    eos, mask = asked.whole("eos_token_id"), asked.whole("mask_id")
    row = rows[name](case, asked)
    for choice in UNKNOWN_TO[name]:
        if asked.given(choice):
            raise asked.refuse(choice, f"{name} has no such choice")
    asked.refuse_others()
    wanted = asked.whole("max_new_tokens")
    enough = (lambda told: len(told[0]) >= wanted) if name == "linear_spec_generate" else None
    return Scenario(replace(spec, mask_token_id=mask, eos_token_ids=(eos,)), (row,), enough=enough)


def _ending(case: Record, asked: Record) -> Ending:
    """Prompt and answer up to the end of the sequence, or to where nothing is written yet."""
    prompt, eos, mask = len(case.ids("prompt_ids")), asked.whole("eos_token_id"), asked.whole("mask_id")

    def written(tokens: Tokens) -> Tokens:
        answer = until(tokens[prompt:], (eos, mask))
        return tokens[:prompt] + (answer[:-1] if answer[-1:] == (mask,) else answer)

    return Ending("final_ids", case.ids("final_ids"), written)


def _request(case: Record, tokens: int, block: int | None, sampling: SamplingParameters) -> Request:
    return Request(case.text("name"), case.ids("prompt_ids"), None, tokens, block, sampling=sampling)


def _diffusion(case: Record, asked: Record) -> Row:
    block, tokens = asked.whole("block_length", least=1), asked.whole("max_new_tokens", least=1)
    if tokens % block:
        raise asked.refuse("max_new_tokens", f"it has to be a multiple of block_length {block}")
    sampling = SamplingParameters("low_confidence")
    if asked.given("threshold"):
        sampling = SamplingParameters("confidence_threshold", threshold=asked.number("threshold"))
    request = _request(case, tokens, block, sampling)
    if asked.given("causal_context") and not asked.flag("causal_context"):
        request = replace(request, context_attention="block_causal")
    ending = _ending(case, asked)
    steps: list[Step] = []
    idle = 0
    for record in case.records("steps"):
        if record.text("forward") == "denoise":
            step = _denoising(record, record.span("input_range"))
            ended = had_ended(step, len(request.prompt), asked.whole("eos_token_id"), asked.whole("mask_id"))
            idle += ended
            steps += [] if ended else [step]
        else:
            seed = seed_step(record, len(ending.recorded))
            steps += [] if seed is None else [seed]
    context = case.whole("forwards_prefill") + case.whole("forwards_commit") - 1
    return Row(request, tuple(steps), (ending,), Forwards(case.whole("forwards_denoise") - idle, context))


def _denoising(record: Record, canvas: range) -> Step:
    eligible = record.ids("eligible")
    return Step(
        record.where,
        canvas.start,
        computed=canvas,
        eligible=eligible,
        proposed=record.zipped(eligible, record.ids("proposed"), "proposed"),
        confidence=record.zipped(eligible, record.numbers("confidence"), "confidence"),
        accepted=record.ids("committed"),
        after=record.ids("block_after"),
    )


def _speculation(case: Record, asked: Record) -> Row:
    """The reference drafts whole blocks until it has enough, so the engine is asked for more and stopped there."""
    block, tokens = asked.whole("block_length", least=2), asked.whole("max_new_tokens", least=1)
    threshold = asked.number("threshold") if asked.given("threshold") else 0.0
    sampling = SamplingParameters("linear_speculation", threshold=threshold)
    request = _request(case, tokens + 2 * block, block, sampling)
    steps: list[Step] = []
    for record in case.records("steps"):
        place, forward = record.span("input_range"), record.text("forward")
        if forward == "draft":
            steps.append(_draft(record, place))
        elif forward == "verify":
            steps.append(_verdict(record, place))
        else:
            seed = seed_step(record, place.stop + 1)
            steps += [] if seed is None else [seed]
    forwards = Forwards(all=case.whole("nfe_reference"))
    return Row(request, tuple(steps), (_ending(case, asked),), forwards)


def _draft(record: Record, canvas: range) -> Step:
    eligible = tuple(canvas.start + cell for cell in record.ids("eligible"))
    return Step(
        record.where,
        canvas.start,
        computed=canvas,
        eligible=eligible,
        proposed=record.zipped(eligible, record.ids("proposed"), "proposed"),
        confidence=record.zipped(eligible, record.numbers("confidence"), "confidence"),
        before=record.ids("input_ids"),
    )


def _verdict(record: Record, canvas: range) -> Step:
    """What is kept follows the first token, and the next draft begins with the last of it."""
    kept = record.ids("accepted_tokens")
    if record.whole("accepted") != len(kept) or record.whole("cache_len_after") != canvas.start + len(kept):
        raise record.refuse("accepted", "it does not fit accepted_tokens and cache_len_after")
    return Step(
        record.where,
        canvas.start,
        outcome="verify",
        computed=canvas,
        before=record.ids("input_ids"),
        proposed={canvas.start + 1 + place: token for place, token in enumerate(kept)},
        after=(*record.ids("input_ids")[:1], *kept),
    )


def _greedy(case: Record, asked: Record) -> Row:
    tokens = asked.whole("max_new_tokens", least=1)
    request = _request(case, tokens, None, SamplingParameters("autoregressive"))
    return Row(request, None, (_ending(case, asked),), Forwards(all=case.whole("nfe_reference")))
