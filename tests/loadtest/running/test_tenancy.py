from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from cluster.client.admin import AdminClient
from deployments.document import ConfigError
from loadtest.running.tenancy import SPARE_SECONDS, Tenancy
from tests.loadtest.cases import scenario

TENANTS = scenario(
    tenants=[
        {"name": "acme", "weight": 2.0, "bands": {"interactive": 1.0}, "limits": {"concurrency": 4}},
        {"name": "umbrella"},
    ]
).tenants


class Operator:
    """The operator's endpoints, with the tenant ``umbrella`` there already."""

    def __init__(self) -> None:
        self.tenants: dict[str, dict[str, Any]] = {"umbrella": {"name": "umbrella"}}
        self.lifetimes: dict[str, float] = {}
        self.live: set[str] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        match request.method, request.url.path.removeprefix("/admin/v1").split("/")[1:]:
            case "GET", ["tenants"]:
                return httpx.Response(200, json={"data": list(self.tenants.values())})
            case "PUT", ["tenants", name]:
                self.tenants[name] = json.loads(request.content)
                return httpx.Response(200, json=self.tenants[name])
            case "DELETE", ["tenants", name]:
                return httpx.Response(200, json=self.tenants.pop(name))
            case "POST", ["tenants", name, "keys"]:
                self.live.add(f"id-{name}")
                self.lifetimes[name] = json.loads(request.content)["expires_in_seconds"]
                return httpx.Response(200, json=self.key(name) | {"key": f"key-of-{name}"})
            case "POST", ["keys", id, "revoke"]:
                self.live.remove(id)
                return httpx.Response(200, json=self.key(id))
        raise AssertionError(request)

    def key(self, name: str) -> dict[str, object]:
        nothing = dict.fromkeys(("models", "expires_at", "revoked_at", "last_used_at"))
        told = {"id": f"id-{name}", "tenant": name, "name": "", "scopes": [], "created_at": 0.0, "declared": False}
        return {**nothing, **told}


def test_tenants_and_keys_are_there_as_long_as_the_test() -> None:
    operator = Operator()
    tenancy = Tenancy(AdminClient("http://operator", "admin-key", transport=httpx.MockTransport(operator)))
    tenancy.prepare(TENANTS, 120.0)
    assert tenancy.keys == {"acme": "key-of-acme", "umbrella": "key-of-umbrella"}
    assert operator.lifetimes == dict.fromkeys(("acme", "umbrella"), 120.0 + SPARE_SECONDS)
    acme = operator.tenants["acme"]
    assert (acme["weight"], acme["bands"]) == (2.0, ["interactive"])
    tenancy.close()
    assert (set(operator.tenants), operator.live) == ({"umbrella"}, set())
    tenancy.close()


def test_a_key_may_be_in_the_environment() -> None:
    tenants = scenario(tenants=[{"name": "acme", "key_variable": "ACME_KEY"}]).tenants
    tenancy = Tenancy(None)
    tenancy.prepare(tenants, 1.0, {"ACME_KEY": "a-key"})
    assert tenancy.keys == {"acme": "a-key"}
    with pytest.raises(ConfigError, match="ACME_KEY is not set"):
        Tenancy(None).prepare(tenants, 1.0, {})


def test_without_an_operator_no_key_is_made() -> None:
    with pytest.raises(ConfigError, match="acme has no key_variable"):
        Tenancy(None).prepare(TENANTS, 1.0)
