from __future__ import annotations

from deployments.gateway.generation import generate
from deployments.gateway.pieces import Hole
from deployments.gateway.plan import Plan
from deployments.gateway.recording import Recording
from deployments.state.memory import MemoryStore
from deployments.state.record import RequestRecord
from dllm_worker.request import Request
from tests.deployments.gateway.scripted import NOW, TENANT, ScriptedPool, model, saying


async def test_closing_a_run_between_two_items_ends_it_at_once() -> None:
    pool, store = ScriptedPool(saying("one", "two")), MemoryStore()
    record = RequestRecord("r", TENANT, "tiny", "/v1/completions", {}, NOW, NOW)
    plan = Plan(Request("r", prompt=(5,), max_tokens=8), (Hole(8),))
    run = generate(model(pool), plan, Recording(store, record, lambda: NOW, timeout_seconds=1.0))
    assert await anext(run) == ()
    await run.aclose()
    assert pool.aborted == ["r"]
    kept = await store.get(TENANT, "r")
    assert kept is not None
    assert kept.status == "cancelled"
