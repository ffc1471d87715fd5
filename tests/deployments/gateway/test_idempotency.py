from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from deployments.errors import IdempotencyInProgress, IdempotencyKeyReused, Overloaded
from deployments.gateway.arrival import Arrival
from deployments.gateway.idempotency import ATTEMPTS, CLAIM_SECONDS, earlier
from deployments.gateway.ids import ulid
from deployments.state.memory import MemoryStore
from deployments.state.record import RequestRecord
from deployments.state.store import Change, Claim, RequestKey, StateUnavailable
from deployments.tenancy.declared import TenantConfig, TenantLimits
from deployments.tenancy.tenant import Access, KeyRecord, Tenant
from dllm_worker.request import Request
from tests.deployments.gateway.asgi import Connection
from tests.deployments.gateway.durable import durable_gateway, frames, post
from tests.deployments.gateway.scripted import (
    NOW,
    OTHER_KEY,
    TENANT,
    ScriptedPool,
    Step,
    byte_text,
    client,
    commits,
    entropy,
    finish,
    gateway,
    saying,
    tenancy,
)

COMPLETION: dict[str, Any] = {"model": "tiny", "prompt": "hi"}
GENERATING: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}),
    ("/v1/completions", COMPLETION),
    ("/v1/responses", {"model": "tiny", "input": "hi"}),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("path", "body"), GENERATING)
async def test_the_same_request_is_run_once_and_answered_alike(path: str, body: dict[str, Any], stream: bool) -> None:
    pool, store = ScriptedPool(saying("Hello", "!")), MemoryStore()
    apps = durable_gateway(pool, store), durable_gateway(pool, store)
    async with client(apps[0]) as http, client(apps[1]) as elsewhere:
        first = await post(http, path, body | {"stream": stream}, idempotency_key="k-1")
        again = await post(elsewhere, path, body | {"stream": stream}, idempotency_key="k-1")
    assert len(pool.requests) == 1
    assert frames(again) == frames(first) if stream else again.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"


async def test_another_payload_another_path_and_another_tenant() -> None:
    pool = ScriptedPool(saying("ok"))
    app = durable_gateway(pool, MemoryStore())
    key = {"idempotency-key": "k"}
    async with client(app) as http, client(app, OTHER_KEY) as other:
        await post(http, "/v1/completions", COMPLETION, idempotency_key="k")
        changed = await http.post("/v1/completions", json=COMPLETION | {"seed": 1}, headers=key)
        moved = await http.post("/v1/chat/completions", json=GENERATING[0][1], headers=key)
        await post(other, "/v1/completions", COMPLETION | {"seed": 2}, idempotency_key="k")
    for refused in (changed, moved):
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert len(pool.requests) == 2


async def test_a_request_under_way_is_not_run_twice_and_outlives_its_client() -> None:
    running, gate = asyncio.Event(), asyncio.Event()

    def script(request: Request) -> Iterator[Step]:
        (one,) = commits(request, [byte_text().encode("one")])
        running.set()
        yield ()
        yield gate
        yield one
        yield finish(request, 3)

    pool, store = ScriptedPool(script), MemoryStore()
    app = durable_gateway(pool, store)
    connection = Connection(app, "/v1/completions", COMPLETION, idempotency_key="k")
    first = asyncio.ensure_future(connection.run())
    async with client(app) as http:
        await running.wait()
        connection.leave()
        await first
        assert pool.aborted == []
        content = json.dumps(COMPLETION)
        headers = {"idempotency-key": "k", "content-type": "application/json"}
        refused = await http.post("/v1/completions", content=content, headers=headers)
        gate.set()
        await http.get(f"/v1/requests/{pool.requests[0].id}/stream")
        answer = await http.post("/v1/completions", content=content, headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "idempotency_in_progress")
    assert int(refused.headers["retry-after-ms"]) >= 1000
    assert (answer.json()["choices"][0]["text"], answer.headers["idempotent-replayed"]) == ("one", "true")
    assert (len(pool.requests), pool.aborted) == (1, [])


async def test_a_request_in_the_background_is_promised_once() -> None:
    gate = asyncio.Event()
    pool = ScriptedPool(lambda request: [gate, *saying("ok")(request)])
    body = {"model": "tiny", "input": "hi", "background": True}
    async with client(durable_gateway(pool, MemoryStore())) as http:
        first = await post(http, "/v1/responses", body, idempotency_key="k")
        again = await post(http, "/v1/responses", body, idempotency_key="k")
        gate.set()
        await http.get(f"/v1/responses/{first.json()['id']}", params={"stream": "true"})
        late = await post(http, "/v1/responses", body, idempotency_key="k")
    assert first.json() == again.json() == late.json()
    assert len(pool.requests) == 1


async def test_what_failed_is_tried_again() -> None:
    answers: list[list[Step]] = [[Overloaded()], [Overloaded()]]
    pool = ScriptedPool(lambda request: answers.pop() if answers else saying("ok")(request))
    async with client(durable_gateway(pool, MemoryStore())) as http:
        tries = [
            await http.post("/v1/completions", json=COMPLETION, headers={"idempotency-key": "k"}) for _ in range(4)
        ]
    assert [tried.status_code for tried in tries] == [503, 503, 200, 200]
    assert ["idempotent-replayed" in tried.headers for tried in tries] == [False, False, False, True]
    assert len(pool.requests) == 3


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "a\tb"])
async def test_a_key_is_visible_ascii(key: str) -> None:
    app = durable_gateway(saying("never"), MemoryStore())
    async with client(app) as http:
        response = await http.post("/v1/completions", json=COMPLETION, headers={b"idempotency-key": key.encode()})
        twice: list[tuple[str, str]] = [("idempotency-key", "a"), ("idempotency-key", "a")]
        repeated = await http.post("/v1/completions", json=COMPLETION, headers=twice)
    for refused in (response, repeated):
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "idempotency-key")


class DeadStore(MemoryStore):
    async def claim(self, tenant: str, token: str, claim: Claim) -> Claim:
        raise StateUnavailable("the store is down")


async def test_without_a_store_nothing_is_run() -> None:
    pool = ScriptedPool(saying("never"))
    async with client(durable_gateway(pool, DeadStore())) as http:
        response: httpx.Response = await http.post("/v1/completions", json=COMPLETION, headers={"idempotency-key": "k"})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")
    assert pool.requests == []


def record(number: int, at: float = NOW) -> RequestRecord:
    identity = f"cmpl-{ulid(at + number / 1000, entropy)}"
    return RequestRecord(identity, TENANT, "tiny", "/v1/completions", {}, at, at)


async def claimed(store: MemoryStore, number: int, now: float = NOW) -> RequestRecord | None:
    return await earlier(store, record(number), "k", "digest", now)


async def test_a_claim_without_a_record_is_honoured_for_a_while() -> None:
    store = MemoryStore()
    assert await claimed(store, 1) is None
    assert await claimed(store, 1) is None
    with pytest.raises(IdempotencyInProgress):
        await claimed(store, 2, NOW + CLAIM_SECONDS - 1)
    assert await claimed(store, 2, NOW + CLAIM_SECONDS + 1) is None
    with pytest.raises(IdempotencyInProgress):
        await claimed(store, 3, NOW + CLAIM_SECONDS - 1)


async def test_of_two_attempts_at_once_one_runs() -> None:
    store = MemoryStore()
    assert await claimed(store, 0) is None
    await failed(store, record(0))
    outcomes = await asyncio.gather(*(claimed(store, number) for number in (1, 2, 3)), return_exceptions=True)
    assert [outcome is None for outcome in outcomes].count(True) == 1
    assert [isinstance(outcome, IdempotencyInProgress) for outcome in outcomes].count(True) == 2


async def failed(store: MemoryStore, lost: RequestRecord) -> None:
    await store.create(replace(lost, owner="g"))
    await store.write(RequestKey(TENANT, lost.id), 1, Change(NOW, status="failed", error_code="overloaded"))


async def test_a_key_does_not_fail_for_ever() -> None:
    store = MemoryStore()
    for number in range(ATTEMPTS):
        assert await claimed(store, number) is None
        await failed(store, record(number))
    with pytest.raises(IdempotencyKeyReused):
        await claimed(store, ATTEMPTS)


def test_a_digest_tells_requests_apart() -> None:
    access = Access(Tenant("acme"), KeyRecord("id", "acme", "digest", NOW))
    digests = {
        Arrival(access, "req_1", f"{method} {path}", {}, body).digest
        for method in ("POST", "PUT")
        for path in ("/v1/a", "/v1/b")
        for body in (b"{}", b"{ }")
    }
    assert len(digests) == 8


async def test_an_answer_is_repeated_whatever_the_limits() -> None:
    limited = tenancy(TenantConfig(name=TENANT, limits=TenantLimits(requests_per_minute=1)))
    app = gateway(saying("one text"), declared=limited)
    async with client(app) as http:
        answers = [
            await http.post("/v1/completions", json=COMPLETION, headers={"idempotency-key": key})
            for key in ("k", "k", "l")
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["x-ratelimit-remaining-requests"] == "0"
    assert answers[0].json() == answers[1].json()
    assert "idempotent-replayed" in answers[1].headers
