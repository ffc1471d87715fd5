"""Passes that encode context and predict the token after it, which opens the next block."""

from __future__ import annotations

from dllm_worker.golden.record import Record
from dllm_worker.golden.scenario import Step


def seed_step(record: Record, length: int) -> Step | None:
    """The engine's part of a prefill or commit: ``None`` where nothing is predicted.

    A prediction behind the ``length`` tokens of the outcome is one that the reference makes and never uses; the engine
    ends before it.
    """
    context = record.span("input_range")
    if not record.given("next_token") or context.stop >= length:
        return None
    token, at = record.whole("next_token"), context.stop
    return Step(
        record.where,
        at,
        outcome="take",
        computed=context,
        eligible=(at,),
        proposed={at: token},
        accepted=(at,),
        after=(token,),
    )
