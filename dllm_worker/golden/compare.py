"""The first thing in which the engine and the reference differ.

Every recorded pass is compared with the engine's pass in its place: the positions that it computes, the tokens before
and after it, eligible positions, proposals, confidence, entropy or margin, quota, what is committed and edited. Then
come the final ids in the reference's form, the tokens that the events told, and the numbers of forward passes.
The two are the same up to this:

* Committed tokens are encoded in the pass of the next canvas where that canvas waits for nothing from them, so the
  positions before the canvas are left out of what a pass computes, and passes that encode are counted by themselves.
* The last block is not stored, and no token behind the outcome is predicted.
* Nothing is denoised once the answer has ended, with no mask before its end. Nemotron's ``generate`` still denoises a
  block that opens with the end once, and LLaDA2's early stop looks only when a step commits an end.
* Passes that commit nothing are not run: a finished block of Fast-dLLM's cached loops, a quota of 0, coins that all
  fall on one side.
* Windows and prefixes that a reference recomputes come from the exact cache.
* Left padding takes no positions, and guidance counts as one pass.
* The engine never proposes a mask. References leave it in the softmax, so it is left there, and nothing suppressed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import TypeVar

from dllm_worker.decoding.trace import StepTrace
from dllm_worker.golden.replay import Outcome
from dllm_worker.golden.scenario import Row, Scenario, Step, Tokens
from dllm_worker.spec import ModelSpec

Value = TypeVar("Value", int, float)


def first_difference(scenario: Scenario, outcomes: list[Outcome]) -> str | None:
    """Where and in what the rows differ from their outcomes; ``None`` when they are identical."""
    for row, outcome in zip(scenario.rows, outcomes, strict=True):
        for difference in _differences(row, outcome, scenario):
            return difference
    return None


def _differences(row: Row, outcome: Outcome, scenario: Scenario) -> Iterator[str]:
    if row.steps is not None:
        yield from _steps(row.steps, outcome, scenario)
    if outcome.failure is not None:
        yield outcome.failure
    for ending in row.endings:
        yield from _unequal(ending.name, ending.form(outcome.tokens), ending.recorded)
    yield from _told(row, outcome, scenario)
    yield from _forwards(row, outcome)


def _steps(steps: tuple[Step, ...], outcome: Outcome, scenario: Scenario) -> Iterator[str]:
    """Pass for pass, and at the end whether one side has more of them."""
    traces = [trace for trace in outcome.traces if trace.outcome != "store"]
    text = list(outcome.request.prompt)
    for step, trace in zip_longest(steps, traces):
        if trace is None:
            yield outcome.failure or f"{step.where}: the engine has ended before it"
            return
        if step is None:
            last = steps[-1].where if steps else "the prompt"
            yield f"after {last}: the engine runs another pass, over {trace.fed_start}:{trace.fed_stop}"
            return
        text[trace.start : trace.start + len(trace.after)] = trace.after
        for difference in _pass(step, trace, tuple(text), scenario):
            yield f"{step.where}: {difference}"


def _pass(step: Step, trace: StepTrace, text: Tokens, scenario: Scenario) -> Iterator[str]:
    spec = scenario.spec
    proposed, confidence = _by_position(trace, trace.proposed), _by_position(trace, trace.confidence)
    yield from _unequal("outcome", trace.outcome, step.outcome)
    yield from _unequal("kind", trace.kind.value, step.kind and step.kind.value)
    yield from _unequal("computed", _computed(trace, spec), step.computed)
    yield from _unequal("before", trace.before, step.before)
    yield from _unequal("eligible", trace.eligible, step.eligible)
    yield from _unequal_items("proposed", proposed, step.proposed)
    yield from _far("confidence", confidence, step.confidence, scenario.tolerance)
    yield from _far("entropy", _by_position(trace, trace.entropy), step.entropy, scenario.tolerance)
    yield from _far("margin", _by_position(trace, trace.margin), step.margin, scenario.tolerance)
    yield from _unequal("quota", trace.quota, step.quota and min(step.quota, len(trace.eligible)))
    yield from _unequal("committed", trace.accepted, step.accepted)
    yield from _unequal("edited", trace.edited, step.edited)
    yield from _unequal("argmax", trace.best, step.best)
    if step.after is not None:
        masked = (spec.mask_token_id,) * (step.start + len(step.after) - len(text))
        shown = (*text, *masked)[step.start : step.start + len(step.after)]
        yield from _unequal("tokens after it", shown, step.after)


def _computed(trace: StepTrace, spec: ModelSpec) -> range:
    """The positions of a pass, less the context that an exact cache encodes in front of its canvas."""
    joined = spec.context_attention != "bidirectional" and trace.fed_stop > trace.start
    return range(max(trace.fed_start, trace.start) if joined else trace.fed_start, trace.fed_stop)


def _told(row: Row, outcome: Outcome, scenario: Scenario) -> Iterator[str]:
    """The events tell the answer, up to an end of the sequence where it ends one."""
    answer = outcome.tokens[len(row.request.prompt) :]
    told = tuple(outcome.told)
    yield from _unequal("tokens of the events", told, answer[: len(told)])
    following = answer[len(told) : len(told) + 1]
    ends = row.request.sampling.eos != "ignore" and following[:1] in [(token,) for token in scenario.spec.eos_token_ids]
    if following and scenario.enough is None and not ends:
        yield f"the events stop before {following[0]}, token {len(told)} of the answer"


def _forwards(row: Row, outcome: Outcome) -> Iterator[str]:
    usage = outcome.usage
    if usage is None:
        yield "the engine has not ended the request"
        return
    context = sum(trace.fed_start < trace.start for trace in outcome.traces)
    yield from _unequal("denoising forwards", usage.denoising_steps, row.forwards.denoising)
    yield from _unequal("context forwards", context, row.forwards.context)
    yield from _unequal("forwards", usage.forward_passes, row.forwards.all)


def _by_position(trace: StepTrace, values: tuple[Value, ...]) -> dict[int, Value]:
    return dict(zip(trace.eligible, values, strict=True))


def _unequal(name: str, ours: object, recorded: object) -> Iterator[str]:
    if recorded is not None and ours != recorded:
        yield f"{name} {_shown(ours)}, the reference has {_shown(recorded)}"


def _unequal_items(name: str, ours: Mapping[int, int], recorded: Mapping[int, int]) -> Iterator[str]:
    for position, value in recorded.items():
        if ours.get(position) != value:
            yield f"{name} {ours.get(position)} at position {position}, the reference has {value}"


def _far(name: str, ours: Mapping[int, float], recorded: Mapping[int, float], tolerance: float) -> Iterator[str]:
    for position, value in recorded.items():
        if position not in ours or not abs(ours[position] - value) <= tolerance:
            yield f"{name} {ours.get(position)} at position {position}, the reference has {value}"


def _shown(value: object) -> str:
    if isinstance(value, range):
        return f"{value.start}:{value.stop}"
    return str(list(value)) if isinstance(value, tuple) else str(value)
