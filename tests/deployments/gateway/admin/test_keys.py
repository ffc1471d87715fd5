"""The life of a key over the operator's endpoints, as those meet it who use the key."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx
import pytest

from deployments.errors import InvalidApiKey
from deployments.tenancy.keys import parse_key
from deployments.tenancy.tenant import Access
from deployments.tenancy.verification import Verifier
from tests.deployments.gateway.admin.administration import DECLARED_KEY, NOW, Place, error_of


class Door:
    """A gateway's verifier, which hears of changes."""

    def __init__(self, place: Place) -> None:
        self._verifier = Verifier(place.shared.directory, place.declared, place.clock)
        self.serving = asyncio.create_task(self._verifier.serve())

    async def opens(self, key: str) -> Access:
        return await self._verifier.verify(f"Bearer {key}", "127.0.0.1")

    async def is_shut_to(self, key: str) -> bool:
        await asyncio.sleep(0)  # the change has been told; this lets the verifier hear of it
        try:
            await self.opens(key)
        except InvalidApiKey:
            return True
        return False


@pytest.fixture
async def door(place: Place) -> AsyncIterator[Door]:
    door = Door(place)
    await asyncio.sleep(0)
    yield door
    door.serving.cancel()
    await asyncio.gather(door.serving, return_exceptions=True)


async def created(admin: httpx.AsyncClient, **body: object) -> dict[str, object]:
    answer = await admin.post("/tenants/acme/keys", json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, object] = answer.json()
    return made


async def test_a_key_is_shown_once_and_opens_what_it_was_made_for(admin: httpx.AsyncClient, door: Door) -> None:
    opens = {"scopes": ["generate"], "models": ["tiny"]}
    made = await created(admin, name="ci", environment="ci", expires_in_seconds=60, **opens)
    key = str(made["key"])
    assert key.startswith(f"dllm_ci_{made['id']}_")
    access = await door.opens(key)
    assert (access.tenant.name, access.key.scopes, access.key.models) == ("acme", ("generate",), ("tiny",))
    (listed,) = (await admin.get("/tenants/acme/keys")).json()["data"]
    assert listed == {name: value for name, value in made.items() if name != "key"}
    assert (listed["name"], listed["created_at"], listed["expires_at"]) == ("ci", NOW, NOW + 60)
    assert key.rpartition("_")[2] not in str(listed)
    assert parse_key(key).digest not in str(listed)


async def test_a_key_of_its_defaults_needs_no_body(admin: httpx.AsyncClient, door: Door) -> None:
    made = (await admin.post("/tenants/acme/keys")).json()
    assert (made["scopes"], made["models"], made["expires_at"]) == (["generate", "jobs", "usage:read"], None, None)
    assert made["key"].startswith("dllm_live_")
    assert (await door.opens(made["key"])).key.id == made["id"]


async def test_a_key_expires(admin: httpx.AsyncClient, door: Door, place: Place) -> None:
    key = str((await created(admin, expires_in_seconds=60))["key"])
    place.now += 59
    await door.opens(key)
    place.now += 1
    assert await door.is_shut_to(key)


async def test_a_revoked_key_is_refused_as_soon_as_the_change_is_heard_of(admin: httpx.AsyncClient, door: Door) -> None:
    made = await created(admin)
    await door.opens(str(made["key"]))
    revoked = await admin.post(f"/keys/{made['id']}/revoke")
    assert revoked.json()["revoked_at"] == NOW
    assert await door.is_shut_to(str(made["key"]))


async def test_revoking_again_changes_nothing(admin: httpx.AsyncClient, place: Place) -> None:
    made = await created(admin)
    first = (await admin.post(f"/keys/{made['id']}/revoke")).json()
    place.now += 100
    assert (await admin.post(f"/keys/{made['id']}/revoke")).json() == first


async def test_a_rotated_key_is_valid_beside_the_new_one_until_the_overlap_is_over(
    admin: httpx.AsyncClient, door: Door, place: Place
) -> None:
    old = await created(admin, name="ci", scopes=["generate"], models=["tiny"])
    place.now += 1000
    new = (await admin.post(f"/keys/{old['id']}/rotate", json={"overlap_seconds": 300})).json()
    assert (new["name"], new["scopes"], new["models"]) == ("ci", ["generate"], ["tiny"])
    assert (new["created_at"], new["expires_at"], new["last_used_at"]) == (NOW + 1000, None, None)
    assert (new["replaces"]["id"], new["replaces"]["expires_at"]) == (old["id"], NOW + 1300)
    for key in (str(old["key"]), new["key"]):
        assert (await door.opens(key)).tenant.name == "acme"
    place.now += 300
    assert await door.is_shut_to(str(old["key"]))
    assert not await door.is_shut_to(new["key"])


async def test_a_rotation_without_an_overlap_ends_the_old_key_at_once(admin: httpx.AsyncClient, door: Door) -> None:
    old = await created(admin)
    await door.opens(str(old["key"]))
    new = (await admin.post(f"/keys/{old['id']}/rotate", json={"overlap_seconds": 0})).json()
    assert await door.is_shut_to(str(old["key"]))
    assert not await door.is_shut_to(new["key"])


async def test_a_rotation_keeps_the_length_of_a_life_and_never_lengthens_one(
    admin: httpx.AsyncClient, place: Place
) -> None:
    old = await created(admin, expires_in_seconds=100)
    place.now += 60
    new = (await admin.post(f"/keys/{old['id']}/rotate", json={"overlap_seconds": 3600})).json()
    assert (new["expires_at"], new["replaces"]["expires_at"]) == (NOW + 160, NOW + 100)


async def test_a_key_that_is_not_valid_any_more_cannot_be_rotated(admin: httpx.AsyncClient, place: Place) -> None:
    revoked, expired = await created(admin), await created(admin, expires_in_seconds=10)
    await admin.post(f"/keys/{revoked['id']}/revoke")
    place.now += 10
    for key in (revoked, expired):
        assert error_of(await admin.post(f"/keys/{key['id']}/rotate")) == (409, "conflict")
    assert len((await admin.get("/tenants/acme/keys")).json()["data"]) == 2


async def test_with_its_tenant_a_key_is_gone(admin: httpx.AsyncClient, door: Door) -> None:
    made = await created(admin)
    await door.opens(str(made["key"]))
    await admin.delete("/tenants/acme")
    assert await door.is_shut_to(str(made["key"]))
    assert error_of(await admin.post(f"/keys/{made['id']}/revoke")) == (404, "key_not_found")


async def test_a_declared_key_is_changed_in_its_file_only(admin: httpx.AsyncClient) -> None:
    declared = parse_key(DECLARED_KEY).id
    for change in ("revoke", "rotate"):
        assert error_of(await admin.post(f"/keys/{declared}/{change}")) == (409, "conflict")
    (held,) = (await admin.get("/tenants/declared/keys")).json()["data"]
    assert (held["declared"], held["revoked_at"]) == (True, None)


async def test_unknown_keys_and_tenants_are_not_found(admin: httpx.AsyncClient) -> None:
    for change in ("revoke", "rotate"):
        assert error_of(await admin.post(f"/keys/abcdefgh/{change}")) == (404, "key_not_found")
    assert error_of(await admin.get("/tenants/nobody/keys")) == (404, "tenant_not_found")
    assert error_of(await admin.post("/tenants/nobody/keys")) == (404, "tenant_not_found")


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"scopes": ["admin"]}, "scopes[0]"),
        ({"scopes": []}, "scopes"),
        ({"expires_in_seconds": 0}, "expires_in_seconds"),
        ({"environment": "My_Env"}, "environment"),
        ({"key": DECLARED_KEY}, "key"),
    ],
)
async def test_a_bad_key_is_refused_by_the_name_of_the_fault(
    admin: httpx.AsyncClient, body: dict[str, object], parameter: str
) -> None:
    refused = await admin.post("/tenants/acme/keys", json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == parameter


async def test_the_audit_log_names_keys_by_their_public_part(
    admin: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        old = await created(admin)
        new = (await admin.post(f"/keys/{old['id']}/rotate")).json()
        await admin.post(f"/keys/{new['id']}/revoke")
    lines = [record.getMessage() for record in caplog.records if "audit" in record.getMessage()]
    done = [(line.split()[2], line.split()[4]) for line in lines]
    assert done == [
        ("what=create_key", f"key={old['id']}"),
        ("what=rotate_key", f"key={old['id']}"),
        ("what=create_key", f"key={new['id']}"),
        ("what=revoke_key", f"key={new['id']}"),
    ]
    for key in (str(old["key"]), new["key"]):
        assert key.rpartition("_")[2] not in caplog.text
