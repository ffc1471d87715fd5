from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from deployments.gateway.shared import Shared
from deployments.state.memory import MemoryStore
from deployments.state.store import StateUnavailable
from deployments.tenancy.ledger.export import COLUMNS
from deployments.tenancy.ledger.ledger import LedgerEntry, UsageRow
from deployments.tenancy.ledger.memory import MemoryLedger
from deployments.tenancy.tenant import SCOPES
from dllm_worker.request import Request
from tests.deployments.gateway.durable import durable_gateway, serving
from tests.deployments.gateway.scripted import (
    KEY,
    NOW,
    OTHER_KEY,
    TENANT,
    ScriptedPool,
    Step,
    byte_text,
    client,
    commits,
    gateway,
    in_memory,
    model,
    saying,
    tenancy,
)

PATH = "/v1/completions"
BODY: dict[str, Any] = {"model": "tiny", "prompt": "hi"}
TODAY = "2023-11-14"
"""The UTC day of ``NOW``."""

ENTRY = LedgerEntry(
    id="cmpl-1",
    tenant=TENANT,
    key="k1",
    model="tiny",
    endpoint=PATH,
    band="default",
    status="completed",
    created_at=NOW,
    ended_at=NOW,
    prompt_tokens=2,
    completion_tokens=3,
    work=96,
)


def shared_over(ledger: MemoryLedger) -> Shared:
    """A cluster with this ledger, that answers ``ok``."""
    return replace(in_memory({"tiny": model(ScriptedPool(saying("ok")))}, clock=lambda: NOW), ledger=ledger)


async def app_with(*entries: LedgerEntry) -> FastAPI:
    ledger = MemoryLedger()
    for entry in entries:
        await ledger.enter(entry)
    return gateway(saying("ok"), shared=shared_over(ledger))


async def get(app: FastAPI, path: str, key: str = KEY, **query: str) -> httpx.Response:
    async with client(app, key) as http:
        return await http.get(path, params=query)


async def entries_of(app: FastAPI, key: str = KEY) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (await get(app, "/v1/usage/entries", key)).text.splitlines()]


async def test_usage_is_what_the_answers_said() -> None:
    app = durable_gateway(saying("one ", "two"), MemoryStore())
    async with serving(app), client(app) as http:
        told = [(await http.post(PATH, json=BODY | {"seed": seed})).json()["usage"] for seed in range(3)]
    usage = (await get(app, "/v1/usage")).json()
    due = {
        "requests": 3,
        "prompt_tokens": sum(each["prompt_tokens"] for each in told),
        "cached_tokens": sum(each["prompt_tokens_details"]["cached_tokens"] for each in told),
        "completion_tokens": sum(each["completion_tokens"] for each in told),
        "denoising_steps": sum(each["diffusion"]["denoising_steps"] for each in told),
        "forward_passes": sum(each["diffusion"]["forward_passes"] for each in told),
        "position_forwards": sum(each["diffusion"]["position_forwards"] for each in told),
        "work": sum(each["diffusion"]["position_forwards"] for each in told),
    }
    row = {"day": TODAY, "model": "tiny", **due}
    assert usage == {"object": "list", "start": "2023-11-01", "end": TODAY, "data": [row], "total": due}
    assert due["completion_tokens"] == 21


async def test_several_choices_are_one_request_with_one_prompt() -> None:
    app = durable_gateway(saying("one"), MemoryStore())
    async with serving(app), client(app) as http:
        answer = (await http.post(PATH, json=BODY | {"n": 3})).json()
    total = (await get(app, "/v1/usage")).json()["total"]
    told = answer["usage"]
    assert (total["requests"], total["prompt_tokens"]) == (1, told["prompt_tokens"])
    assert total["cached_tokens"] == told["prompt_tokens_details"]["cached_tokens"]
    assert total["completion_tokens"] == told["completion_tokens"]
    for name in ("denoising_steps", "forward_passes", "position_forwards"):
        assert total[name] == told["diffusion"][name]
    ids = [entry["id"] for entry in await entries_of(app)]
    assert sorted(ids) == [answer["id"], f"{answer['id']}.1", f"{answer['id']}.2"]


async def test_a_cancelled_request_is_billed_what_its_account_tells() -> None:
    running = asyncio.Event()

    def script(request: Request) -> Iterator[Step]:
        yield ()
        yield from commits(request, [byte_text().encode("one")])
        running.set()
        yield asyncio.Event()

    pool = ScriptedPool(script)
    app = durable_gateway(pool, MemoryStore())
    async with serving(app), client(app) as http:
        asking = asyncio.ensure_future(http.post(PATH, json=BODY))
        await running.wait()
        account = (await http.post(f"/v1/requests/{pool.requests[0].id}/cancel")).json()
        await asking
    (entry,) = await entries_of(app)
    assert (entry["status"], entry["completion_tokens"]) == ("cancelled", 3)
    for name in ("prompt_tokens", "completion_tokens"):
        assert entry[name] == account["usage"][name]
    for name in ("denoising_steps", "forward_passes", "position_forwards", "canvases"):
        assert entry[name] == account["usage"]["diffusion"][name]


async def test_a_tenant_sees_its_own_usage_only() -> None:
    app = await app_with(ENTRY, replace(ENTRY, id="cmpl-2", tenant="bravo", work=5))
    assert [entry["id"] for entry in await entries_of(app)] == ["cmpl-1"]
    assert [entry["id"] for entry in await entries_of(app, OTHER_KEY)] == ["cmpl-2"]
    assert (await get(app, "/v1/usage", OTHER_KEY)).json()["total"]["work"] == 5


async def test_a_period_is_as_asked() -> None:
    day = 24 * 3600.0
    entries = [replace(ENTRY, id=f"cmpl-{days}", ended_at=NOW - days * day) for days in (40, 14, 2, 0)]
    app = await app_with(*entries)
    usage = (await get(app, "/v1/usage", start="2023-10-31", end="2023-11-12")).json()
    assert [row["day"] for row in usage["data"]] == ["2023-10-31", "2023-11-12"]
    exported = (await get(app, "/v1/usage/entries", start="2023-11-12")).text.splitlines()
    assert [json.loads(line)["id"] for line in exported] == ["cmpl-2", "cmpl-0"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"start": "11/14/2023"}, "start"),
        ({"end": "2023-11-31"}, "end"),
        ({"start": "2023-11-15"}, "start"),
        ({"start": "2023-09-13"}, "start"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/usage", "/v1/usage/entries"])
async def test_what_is_no_period_is_refused_by_name(path: str, query: dict[str, str], parameter: str) -> None:
    reply = await get(await app_with(), path, **query)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, parameter)


async def test_a_form_that_does_not_exist_is_refused_by_name() -> None:
    reply = await get(await app_with(), "/v1/usage/entries", format="xlsx")
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "format")


@pytest.mark.parametrize("path", ["/v1/usage", "/v1/usage/entries"])
async def test_a_key_without_the_scope_sees_no_usage(path: str) -> None:
    declared = tenancy()
    scopes = tuple(scope for scope in SCOPES if scope != "usage:read")
    keys = tuple(replace(key, scopes=scopes) for key in declared.keys)
    reply = await get(gateway(saying("ok"), declared=replace(declared, keys=keys)), path)
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "permission_denied")
    assert "usage:read" in reply.json()["error"]["message"]


async def test_an_export_is_a_download() -> None:
    app = await app_with(ENTRY)
    lines = await get(app, "/v1/usage/entries")
    assert lines.headers["content-type"] == "application/jsonl"
    assert lines.headers["content-disposition"] == 'attachment; filename="usage-acme-2023-11-01-2023-11-14.jsonl"'
    assert [LedgerEntry(**json.loads(line)) for line in lines.text.splitlines()] == [ENTRY]
    table = await get(app, "/v1/usage/entries", format="csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    (row,) = csv.DictReader(io.StringIO(table.text, newline=""))
    assert tuple(row) == COLUMNS
    assert (row["id"], row["work"], row["error_code"]) == ("cmpl-1", "96", "")


async def test_nothing_used_is_no_error() -> None:
    app = await app_with()
    usage = (await get(app, "/v1/usage")).json()
    assert (usage["data"], set(usage["total"].values())) == ([], {0})
    assert (await get(app, "/v1/usage/entries")).text == ""


class Lost(MemoryLedger):
    """A ledger that is lost after some entries."""

    def __init__(self, readable: int) -> None:
        super().__init__()
        self._readable = readable

    async def entries(self, tenant: str, first_day: str, last_day: str) -> AsyncIterator[LedgerEntry]:
        for number in range(self._readable):
            yield replace(ENTRY, id=f"cmpl-{number}")
        raise StateUnavailable("the store is lost")

    async def usage(self, tenant: str, first_day: str, last_day: str) -> list[UsageRow]:
        raise StateUnavailable("the store is lost")


@pytest.mark.parametrize("path", ["/v1/usage", "/v1/usage/entries"])
async def test_a_ledger_that_cannot_be_read_is_told(path: str) -> None:
    reply = await get(gateway(saying("ok"), shared=shared_over(Lost(0))), path)
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "unavailable")


async def test_an_export_that_breaks_off_does_not_look_whole() -> None:
    with pytest.raises(StateUnavailable):
        await get(gateway(saying("ok"), shared=shared_over(Lost(2000))), "/v1/usage/entries")
