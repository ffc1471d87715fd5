"""dLLM's ``BD3LMSampler`` over A2D-Qwen3: blocks are counted from the prompt's end, rows run together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from dllm_worker.golden.draws import Key, RecordedDraws, keyed
from dllm_worker.golden.record import GoldenError, Record
from dllm_worker.golden.scenario import Ending, Forwards, Row, Scenario, Step, Tokens, rounded_up
from dllm_worker.request import Algorithm, Request, SamplingParameters
from dllm_worker.spec import ModelSpec

REMASKING: Mapping[str, Algorithm] = {"low_confidence": "low_confidence", "random": "random"}


def scenario(case: Record, spec: ModelSpec) -> Scenario:
    """The left padding of a row is no position of its request. Prefixes and blocks of guidance count twice there.

    The reference recomputes the whole prefix before each block, where the engine adds the block before.
    """
    asked, prompts = case.record("hyper_parameters"), case.rows_of_ids("prompts")
    block, answer = asked.whole("block_size", least=1), asked.whole("max_new_tokens", least=1)
    mask, pad, eos = asked.whole("mask_id"), asked.whole("pad_token_id"), asked.whole("eos_token_id")
    sampling = _sampling(asked, -(-answer // block))
    shift = asked.flag("right_shift_logits")
    asked.refuse_others()
    finals, padding = case.rows_of_ids("final_ids"), case.ids("left_padding")
    widest = rounded_up(max(map(len, prompts), default=0), block)
    if not prompts:
        raise case.refuse("prompts", "there is nothing to continue")
    if padding != tuple(widest - len(prompt) for prompt in prompts) or len(finals) != len(prompts):
        raise GoldenError(f"{case.place('left_padding')} and final_ids do not fit the prompts and block_size {block}")
    records = [record for record in case.records("steps") if record.text("forward") == "block"]
    rows, orders = [], dict[Key, float]()
    for number, prompt in enumerate(prompts):
        request = Request(
            f"{case.text('name')}[{number}]",
            prompt,
            max_tokens=answer,
            canvas_length=block,
            sampling=replace(sampling, seed=number, eos="canvas" if len(prompts) == 1 else "ignore"),
            cache_salt=str(number),
        )
        ending = Ending(f"final_ids[{number}]", finals[number], _padded(pad, widest - len(prompt)))
        steps, drawn = _passes(records, number, len(prompt), block)
        rows.append(Row(request, steps, (ending,), _forwards(case, sampling)))
        orders |= drawn
    facts = replace(spec, mask_token_id=mask, eos_token_ids=(eos,), logit_shift=1 if shift else 0)
    enough = _all_ended(block, eos) if len(rows) > 1 else None
    return Scenario(facts, tuple(rows), RecordedDraws(orders=orders), enough=enough)


def _all_ended(block: int, eos: int) -> Callable[[list[Tokens]], bool]:
    """Rows are denoised until each has an end of the sequence in a finished block."""

    def all_ended(told: list[Tokens]) -> bool:
        whole = len(set(map(len, told))) == 1 and len(told[0]) % block == 0
        return whole and all(eos in tokens for tokens in told)

    return all_ended


def _padded(pad: int, count: int) -> Callable[[Tokens], Tokens]:
    return lambda tokens: (*[pad] * count, *tokens)


def _sampling(asked: Record, blocks: int) -> SamplingParameters:
    remasking, steps = asked.text("remasking"), asked.whole("steps", least=1)
    if remasking not in REMASKING:
        raise asked.refuse("remasking", f"there are {', '.join(REMASKING)}")
    if asked.number("temperature"):
        raise asked.refuse("temperature", "the Gumbel noise of this loop is not recorded")
    given = asked.given("steps_per_block")
    return SamplingParameters(
        algorithm=REMASKING[remasking],
        max_steps=asked.whole("steps_per_block", least=1) if given else -(-steps // blocks),
        schedule="rounded",
        guidance=asked.number("cfg_scale"),
    )


def _forwards(case: Record, sampling: SamplingParameters) -> Forwards:
    streams = 2 if sampling.guidance else 1
    return Forwards(case.whole("forwards_block") // streams, case.whole("forwards_prefix") // streams)


def _passes(records: list[Record], number: int, prompt: int, block: int) -> tuple[tuple[Step, ...], dict[Key, float]]:
    """The steps and the draws of one row."""
    steps, orders = [], dict[Key, float]()
    for record in records:
        row, start = _row(record, number), prompt + record.whole("block") * block
        steps.append(_step(row, start))
        orders |= _orders(record, row, start, number)
    return tuple(steps), orders


def _row(record: Record, number: int) -> Record:
    rows = record.records("rows")
    if number >= len(rows):
        raise GoldenError(f"{record.place('rows')} has {len(rows)} entries; prompts has more")
    return rows[number]


def _step(row: Record, start: int) -> Step:
    eligible = _absolute(row.ids("eligible"), start)
    after = row.ids("block_after")
    return Step(
        row.where,
        start,
        computed=range(start, start + len(after)),
        eligible=eligible,
        proposed=row.zipped(eligible, row.ids("proposed"), "proposed"),
        confidence=row.zipped(eligible, row.numbers("confidence"), "confidence"),
        accepted=_absolute(row.ids("committed"), start),
        after=after,
    )


def _orders(record: Record, row: Record, start: int, seed: int) -> dict[Key, float]:
    if not row.given("random_confidence"):
        return {}
    drawn = row.zipped(_absolute(row.ids("eligible"), start), row.numbers("random_confidence"), "random_confidence")
    return keyed(drawn, record.whole("block"), record.whole("step"), seed)


def _absolute(cells: Tokens, start: int) -> Tokens:
    return tuple(start + cell for cell in cells)
