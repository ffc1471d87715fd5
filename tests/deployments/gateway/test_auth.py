"""The layer that lets only valid keys in; what makes a key valid is in the tests of the verifier."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.types import Message, Receive, Scope, Send

from deployments.gateway.app import create_app, create_gateway
from deployments.gateway.auth import Authentication
from deployments.state.store import StateUnavailable
from deployments.telemetry.observation import Observation, Telemetry
from deployments.tenancy.declared import TenantConfig
from deployments.tenancy.directory.directory import Declared
from deployments.tenancy.directory.memory import MemoryDirectory
from deployments.tenancy.keys import make_key, parse_key
from deployments.tenancy.tenant import KeyRecord
from deployments.tenancy.verification import Verifier
from tests.deployments.gateway.scripted import (
    KEY,
    NOW,
    OTHER_KEY,
    OTHER_TENANT,
    TENANT,
    ScriptedPool,
    app_over,
    client,
    gateway,
    in_memory,
    model,
    saying,
    tenancy,
)

UNKNOWN = make_key("test", lambda count: b"c" * count)
OPEN = {
    "/health",
    "/health/live",
    "/health/ready",
    "/version",
    "/openapi.json",
    "/docs",
    "/docs/oauth2-redirect",
    "/redoc",
}


def routes(app: FastAPI) -> list[tuple[str, str]]:
    contexts = iter_route_contexts(app.routes)
    return [(method, context.path or "") for context in contexts for method in sorted(context.methods or ())]


ROUTES = routes(gateway(saying("ok")))


def from_address(app: FastAPI, address: str, key: str | None) -> httpx.AsyncClient:
    """A client with that address, and with that key if any."""
    transport = httpx.ASGITransport(app, client=(address, 50_000))
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers)


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_but_the_open_ones_needs_a_key(method: str, path: str) -> None:
    async with from_address(gateway(saying("ok")), "192.0.2.1", None) as http:
        response = await http.request(method, path.replace("{", "").replace(":path}", "").replace("}", ""))
    assert (response.status_code == 401) == (path not in OPEN)
    if path not in OPEN:
        assert response.json()["error"]["code"] == "invalid_api_key"


async def test_no_body_is_read_for_a_stranger() -> None:
    async def receive() -> Message:
        raise AssertionError

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/completions",
        "headers": [(b"authorization", f"Bearer {UNKNOWN}".encode())],
        "query_string": b"",
        "client": None,
    }
    await gateway(saying("ok"))(scope, receive, send)
    assert sent[0]["status"] == 401


async def test_what_a_key_opens_is_noted() -> None:
    noted: list[Scope] = []

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        noted.append(scope)

    layer = Authentication(inside, Verifier(MemoryDirectory(), tenancy(), clock))
    headers = [(b"authorization", f"Bearer {OTHER_KEY}".encode())]
    for path in ("/v1/models", "/health"):
        scope: Scope = {"type": "http", "path": path, "headers": headers, "client": ("192.0.2.1", 1)}
        scope["state"] = {"observation": Observation()}
        await layer(scope, None, None)  # type: ignore[arg-type]
    await layer({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    protected, *others = noted
    assert protected["state"]["access"].tenant.name == OTHER_TENANT
    assert protected["state"]["observation"].tenant == OTHER_TENANT
    assert [scope.get("state") for scope in others] == [{"observation": Observation()}, None]


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip", "x-client-ip", "true-client-ip"])
async def test_an_address_in_a_header_is_not_believed(header: str) -> None:
    app = gateway(saying("ok"))
    async with from_address(app, "192.0.2.1", UNKNOWN) as http, from_address(app, "192.0.2.2", UNKNOWN) as elsewhere:
        answers = [await http.get("/v1/models", headers={header: f"198.51.100.{number}"}) for number in range(21)]
        other = await elsewhere.get("/v1/models", headers={header: "192.0.2.1"})
        known = await http.get("/v1/models", headers={"authorization": f"Bearer {KEY}"})
    assert [answer.status_code for answer in answers] == [401] * 20 + [429]
    assert answers[-1].json()["error"]["code"] == "too_many_failed_attempts"
    assert answers[-1].headers["retry-after"] == "4"
    assert (other.status_code, known.status_code) == (401, 200)


def clock() -> float:
    """Time stands still."""
    return NOW


class Down(MemoryDirectory):
    """A directory that does not answer."""

    async def key(self, id: str) -> KeyRecord | None:
        raise StateUnavailable("the store is down")


async def test_an_unknown_key_waits_while_the_directory_is_down_and_a_declared_one_does_not() -> None:
    declared = tenancy()
    only = Declared(declared.tenants, tuple(key for key in declared.keys if key.id == parse_key(KEY).id))
    models = {"tiny": model(ScriptedPool(saying("ok")))}
    inside = create_gateway(models, in_memory(models, clock=clock), Telemetry(), clock=clock)
    app = create_app(inside, Verifier(Down(), only, clock))
    async with client(app) as http, client(app, OTHER_KEY) as other:
        known, unknown = await http.get("/v1/models"), await other.get("/v1/models")
    assert (known.status_code, unknown.status_code) == (200, 503)
    assert unknown.json()["error"]["code"] == "unavailable"
    assert "retry-after" in unknown.headers


async def test_only_permitted_models_are_listed_and_others_are_as_if_they_were_not() -> None:
    models = {name: model(ScriptedPool(saying("ok")), name) for name in ("one", "two")}
    app = app_over(models, declared=tenancy(TenantConfig(name=TENANT, models=["two", "three"])), clock=clock)
    async with client(app) as http, client(app, OTHER_KEY) as other:
        listed = [(await each.get("/v1/models")).json()["data"] for each in (http, other)]
        one, absent = await http.get("/v1/models/one"), await http.get("/v1/models/three")
        refused = await http.post("/v1/completions", json={"model": "one", "prompt": "hi"})
        answered = await http.post("/v1/completions", json={"model": "two", "prompt": "hi"})
    assert [[entry["id"] for entry in entries] for entries in listed] == [["two"], ["one", "two"]]
    assert [response.status_code for response in (one, absent, refused, answered)] == [404, 404, 404, 200]
    assert one.json()["error"] == {**absent.json()["error"], "message": one.json()["error"]["message"]}
    assert one.json()["error"]["message"].replace("one", "three") == absent.json()["error"]["message"]
