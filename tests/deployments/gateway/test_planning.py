"""Long texts are read beside the event loop, and to the same tokens."""

from __future__ import annotations

import asyncio

import pytest

from deployments.errors import ContextLengthExceeded
from deployments.gateway.planning import LONG_BYTES, LongTexts, planned
from dllm_worker.text import Text
from tests.deployments.gateway.scripted import client, gateway, saying
from tests.deployments.gateway.test_plan import completion, planner


async def test_a_long_text_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, reading = asyncio.get_running_loop(), asyncio.Event()
    encode = Text.encode

    def watched(text: Text, said: str) -> list[int]:
        if len(said) > LONG_BYTES:
            loop.call_soon_threadsafe(reading.set)
            asyncio.run_coroutine_threadsafe(short_is_answered.wait(), loop).result()
        return encode(text, said)

    short_is_answered = asyncio.Event()
    monkeypatch.setattr(Text, "encode", watched)
    # So long a context that only reading shows that the text does not fit.
    async with client(gateway(saying("ok"), max_position=LONG_BYTES)) as http:
        prompt = {"model": "tiny", "prompt": "a" * 2 * LONG_BYTES}
        long = asyncio.create_task(http.post("/v1/completions", json=prompt))
        await reading.wait()
        short = await http.post("/v1/completions", json={"model": "tiny", "prompt": "hi", "max_tokens": 2})
        short_is_answered.set()
        refused = await long
    assert (short.status_code, refused.status_code) == (200, 400)
    assert refused.json()["error"]["code"] == "context_length_exceeded"


async def test_it_is_the_same_plan_wherever_it_is_made() -> None:
    body, long = completion("a plan", max_tokens=7), LongTexts()
    here = await planned(planner(), lambda planner: planner.completion(body), 10, long)
    beside = await planned(planner(), lambda planner: planner.completion(body), LONG_BYTES, long)
    assert here == beside


async def test_a_refusal_comes_back_from_there() -> None:
    body = completion("a" * 10_000)
    with pytest.raises(ContextLengthExceeded):
        await planned(planner(), lambda planner: planner.completion(body), LONG_BYTES, LongTexts())
