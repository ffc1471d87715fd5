"""No way to the operator's endpoints but with the operator's key."""

from __future__ import annotations

import itertools

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from tests.deployments.gateway.admin.administration import ADMIN_KEY, DECLARED_KEY, Place, error_of, operator
from tests.deployments.gateway.scripted import KEY, gateway, saying

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


WRONG = (None, "", "Bearer", "Bearer wrong", f"Basic {ADMIN_KEY}", f"Bearer {ADMIN_KEY}x")
FRAMEWORK = {"/health", "/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}


def paths_of(app: FastAPI) -> set[str]:
    """Every path of the application, with something in the place of its parameters."""
    paths = {route.path or "" for route in iter_route_contexts(app.routes)}
    return {path.replace("{name}", "acme").replace("{id}", "abcdefgh") for path in paths}


@pytest.mark.parametrize("credential", WRONG)
async def test_no_route_opens_without_the_credential(place: Place, credential: str | None) -> None:
    headers = {} if credential is None else {"authorization": credential}
    paths = {*paths_of(place.app), "/nowhere", "/admin/v1/nowhere", "/health/", "/health/../admin/v1/tenants"}
    transport = httpx.ASGITransport(place.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://admin", headers=headers) as stranger:
        for path, method in itertools.product(sorted(paths - {"/health"}), METHODS):
            answer = await stranger.request(method, path)
            assert answer.status_code == 401, (method, path)
        assert (await stranger.get("/health")).json() == {"status": "live"}


@pytest.mark.parametrize("key", [DECLARED_KEY, KEY])
async def test_a_key_of_a_tenant_opens_nothing(place: Place, key: str) -> None:
    async with operator(place.app, key) as tenant:
        assert error_of(await tenant.get("/tenants")) == (401, "invalid_api_key")


def test_there_are_routes_to_check(place: Place) -> None:
    assert {
        *FRAMEWORK,
        "/admin/v1/tenants",
        "/admin/v1/tenants/acme",
        "/admin/v1/tenants/acme/keys",
        "/admin/v1/tenants/acme/limits",
        "/admin/v1/tenants/acme/limits/test",
        "/admin/v1/tenants/acme/usage",
        "/admin/v1/tenants/acme/usage/entries",
        "/admin/v1/keys/abcdefgh/revoke",
        "/admin/v1/keys/abcdefgh/rotate",
        "/admin/v1/queues",
        "/admin/v1/autoscaling/explain",
        "/admin/v1/autoscaling/trace",
        "/metrics",
    } == paths_of(place.app)


async def test_the_tenants_application_has_no_route_of_the_operator(place: Place) -> None:
    app = gateway(saying("ok"))
    assert "/v1/chat/completions" in paths_of(app)
    assert paths_of(place.app) & paths_of(app) == FRAMEWORK
    async with operator(app) as http:
        for path, method in itertools.product(sorted(paths_of(place.app) - FRAMEWORK), METHODS):
            answer = await http.request(method, f"http://admin{path}")
            assert answer.status_code == 404, (method, path)


async def test_the_operators_key_opens_the_documentation_and_other_origins_get_no_permission(place: Place) -> None:
    async with operator(place.app) as http:
        schema = await http.get("http://admin/openapi.json", headers={"origin": "http://elsewhere"})
    assert "/admin/v1/tenants/{name}" in schema.json()["paths"]
    assert not [name for name in schema.headers if name.startswith("access-control")]


async def test_failures_are_told_in_one_shape(admin: httpx.AsyncClient) -> None:
    missing = await admin.get("/tenants/nobody", headers={"x-request-id": "mine"})
    assert error_of(missing) == (404, "tenant_not_found")
    assert (missing.json()["request_id"], missing.headers["x-request-id"]) == ("mine", "mine")
    assert error_of(await admin.get("/nowhere")) == (404, "not_found")
    assert error_of(await admin.patch("/tenants/acme")) == (405, "method_not_allowed")
    assert error_of(await admin.put("/tenants/acme", content=b"{")) == (415, "unsupported_media_type")
    json = {"content-type": "application/json"}
    assert error_of(await admin.put("/tenants/acme", content=b"{", headers=json)) == (400, "invalid_request_error")
    large = b" " * (65 << 10)
    assert error_of(await admin.put("/tenants/acme", content=large, headers=json)) == (413, "request_too_large")
