"""What belongs to one tenant does not exist for another, on every route that takes an id."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from deployments.state.memory import MemoryStore
from deployments.tenancy.declared import TenantConfig
from tests.deployments.gateway.durable import post, serving
from tests.deployments.gateway.scripted import (
    NOW,
    OTHER_KEY,
    OTHER_TENANT,
    ScriptedPool,
    app_over,
    client,
    model,
    saying,
    tenancy,
)

PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
PRIVATE, COMMON = "acme/private", "tiny"
"""The models that only the first tenant may use, and that both may."""


def app_of_two() -> FastAPI:
    """A gateway for two tenants. Its ids are as many as they need to be."""
    models = {name: model(ScriptedPool(saying("ok")), name) for name in (PRIVATE, COMMON)}
    declared = tenancy(TenantConfig(name=OTHER_TENANT, models=[COMMON]))
    return app_over(models, MemoryStore(), declared=declared, clock=lambda: NOW)


async def answer_id(http: httpx.AsyncClient) -> str:
    """The id of an answer that can be read again."""
    body = {"model": COMMON, "prompt": "hi", "stream": True, "store_stream": True}
    streamed = await post(http, "/v1/completions", body)
    return str(json.loads(streamed.text.partition("data: ")[2].partition("\n")[0])["id"])


async def response_id(http: httpx.AsyncClient) -> str:
    """The id of a stored response."""
    return str((await post(http, "/v1/responses", {"model": COMMON, "input": "hi", "background": True})).json()["id"])


async def model_id(http: httpx.AsyncClient) -> str:
    """The id of a model that the other tenant may not use."""
    return PRIVATE


MADE_BY: dict[str, Callable[[httpx.AsyncClient], Awaitable[str]]] = {
    "answer_id": answer_id,
    "response_id": response_id,
    "model_id": model_id,
}
"""How the first tenant comes by an id, by the name of the path parameter that takes it."""

UNKNOWN = {"answer_id": "cmpl-absent", "response_id": "resp-absent", "model_id": "absent"}


def routes_with_ids() -> list[tuple[str, str]]:
    """Methods and paths with parameters."""
    contexts = iter_route_contexts(app_of_two().routes)
    paths = [(method, context.path or "") for context in contexts for method in sorted(context.methods or ())]
    return [(method, path) for method, path in paths if PARAMETER.search(path)]


ROUTES = routes_with_ids()


def filled(path: str, id: str) -> str:
    return PARAMETER.sub(lambda match: id, path)


def test_the_route_table_is_read() -> None:
    assert {("GET", "/v1/models/{model_id:path}"), ("DELETE", "/v1/responses/{response_id}")} <= set(ROUTES)
    assert len(ROUTES) >= 7


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_foreign_id_is_not_found_and_told_as_one_that_never_was(method: str, path: str) -> None:
    names = PARAMETER.findall(path)
    assert set(names) <= MADE_BY.keys(), "say in MADE_BY how a tenant comes by such an id"
    (name,) = names
    app = app_of_two()
    headers = {"x-request-id": "mine"}
    async with serving(app), client(app) as owner, client(app, OTHER_KEY) as stranger:
        id = await MADE_BY[name](owner)
        foreign = await stranger.request(method, filled(path, id), headers=headers)
        absent = await stranger.request(method, filled(path, UNKNOWN[name]), headers=headers)
        own = await owner.request(method, filled(path, id), headers=headers)
    assert (foreign.status_code, absent.status_code) == (404, 404)
    assert foreign.text.replace(id, "ID") == absent.text.replace(UNKNOWN[name], "ID")
    assert own.status_code == 200, own.text


@pytest.mark.parametrize(
    "header", ["x-tenant", "x-dllm-tenant", "openai-organization", "x-forwarded-user", "x-user-id"]
)
async def test_no_header_and_no_field_makes_a_tenant_another(header: str) -> None:
    app = app_of_two()
    claims = {"user": "acme", "safety_identifier": "acme", "prompt_cache_key": "acme", "metadata": {"tenant": "acme"}}
    async with serving(app), client(app) as owner, client(app, OTHER_KEY) as stranger:
        id = await answer_id(owner)
        record = await stranger.get(f"/v1/requests/{id}", headers={header: "acme"}, params={"user": "acme"})
        body = {"model": PRIVATE, "prompt": "hi", **claims}
        refused = await stranger.post("/v1/completions", json=body, headers={header: "acme"})
        made = await post(stranger, "/v1/completions", body | {"model": COMMON}, **{header.replace("-", "_"): "acme"})
        mine = await owner.get(f"/v1/requests/{made.json()['id']}")
        theirs = await stranger.get(f"/v1/requests/{made.json()['id']}")
    assert [response.status_code for response in (record, refused, mine, theirs)] == [404, 404, 404, 200]
    assert refused.json()["error"]["code"] == "model_not_found"
