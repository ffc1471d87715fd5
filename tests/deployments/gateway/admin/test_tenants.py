from __future__ import annotations

import logging

import httpx
import pytest

from deployments.state.store import StateUnavailable
from tests.deployments.gateway.admin.administration import Place, error_of, operator

BRAVO = {
    "name": "bravo",
    "models": ["tiny"],
    "weight": 3,
    "bands": ["interactive", "default"],
    "quality_floor": "low",
    "limits": {"requests_per_minute": 60, "queued": None},
}


async def test_a_tenant_is_created_read_replaced_and_removed(admin: httpx.AsyncClient, place: Place) -> None:
    created = (await admin.put("/tenants/bravo", json=BRAVO)).json()
    assert (created["object"], created["weight"], created["declared"]) == ("tenant", 3.0, False)
    assert (created["limits"]["requests_per_minute"], created["limits"]["queued"]) == (60, None)
    assert (await admin.get("/tenants/bravo")).json() == created
    held = await place.shared.directory.tenant("bravo")
    assert held is not None
    assert (held.models, held.bands, held.limits.requests_per_minute) == (("tiny",), ("interactive", "default"), 60)

    again = {key: value for key, value in created.items() if key not in ("object", "declared")} | {"weight": 0.5}
    assert (await admin.put("/tenants/bravo", json=again)).json() == created | {"weight": 0.5}
    listed = (await admin.get("/tenants")).json()
    assert [tenant["name"] for tenant in listed["data"]] == ["acme", "bravo", "declared"]

    removed = await admin.delete("/tenants/bravo")
    assert removed.json() == {"object": "tenant", "name": "bravo", "deleted": True}
    assert error_of(await admin.delete("/tenants/bravo")) == (404, "tenant_not_found")


async def test_what_is_left_out_is_as_usual(admin: httpx.AsyncClient) -> None:
    created = (await admin.put("/tenants/plain", json={"name": "plain"})).json()
    assert (created["models"], created["weight"], created["bands"]) == (None, 1.0, ["default", "flex"])
    assert created["limits"]["queued"] == 256


@pytest.mark.parametrize(
    ("change", "parameter"),
    [
        ({"weight": 0}, "weight"),
        ({"weight": "3"}, "weight"),
        ({"bands": ["express"]}, "bands[0]"),
        ({"bands": []}, "bands"),
        ({"limits": {"requests_per_minute": 0}}, "limits.requests_per_minute"),
        ({"limits": {"requests_per_second": 1}}, "limits.requests_per_second"),
        ({"declared": True}, "declared"),
        ({"name": "other"}, "name"),
        ({"name": "../bravo"}, "name"),
    ],
)
async def test_a_bad_tenant_is_refused_by_the_name_of_the_fault(
    admin: httpx.AsyncClient, change: dict[str, object], parameter: str
) -> None:
    refused = await admin.put("/tenants/bravo", json=BRAVO | change)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == parameter
    assert error_of(await admin.get("/tenants/bravo")) == (404, "tenant_not_found")


async def test_a_declared_tenant_is_changed_in_its_file_only(admin: httpx.AsyncClient) -> None:
    conflict = await admin.put("/tenants/declared", json={"name": "declared", "weight": 9})
    assert error_of(conflict) == (409, "conflict")
    assert conflict.headers["x-should-retry"] == "false"
    assert error_of(await admin.delete("/tenants/declared")) == (409, "conflict")
    assert (await admin.get("/tenants/declared")).json()["weight"] == 1.0


async def test_each_change_is_one_line_of_the_audit_log(
    admin: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await admin.get("/tenants")
        await admin.put("/tenants/bravo", json=BRAVO, headers={"x-request-id": "mine"})
        await admin.put("/tenants/bravo", json=BRAVO | {"weight": -1})
        await admin.delete("/tenants/bravo")
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "audit: who=admin what=put_tenant tenant=bravo key=- request=mine"
    assert [line.split()[2] for line in lines] == ["what=put_tenant", "what=remove_tenant"]


async def test_a_lost_state_is_the_services_fault(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_: object) -> None:
        raise StateUnavailable("no answer")

    monkeypatch.setattr(place.shared.directory, "tenants", lost)
    monkeypatch.setattr(place.shared.directory, "put_tenant", lost)
    async with operator(place.app) as admin:
        assert error_of(await admin.get("/tenants")) == (503, "unavailable")
        assert error_of(await admin.put("/tenants/bravo", json=BRAVO)) == (503, "unavailable")
