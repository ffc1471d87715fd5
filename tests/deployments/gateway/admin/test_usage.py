from __future__ import annotations

import csv
import io
import json

import httpx
import pytest

from deployments.tenancy.ledger.ledger import LedgerEntry
from tests.deployments.gateway.admin.administration import NOW, Place, error_of

ENTRIES = [
    LedgerEntry("a", "acme", "key1", "tiny", "/v1/infill", "default", "completed", NOW, NOW, work=96, prompt_tokens=3),
    LedgerEntry("b", "acme", "key1", "tiny", "/v1/infill", "flex", "failed", NOW, NOW + 1, error_code="no_replica"),
    LedgerEntry("c", "gone", "key2", "tiny", "/v1/infill", "default", "completed", NOW, NOW, work=5),
]


@pytest.fixture(autouse=True)
async def entered(place: Place) -> None:
    for entry in ENTRIES:
        await place.shared.ledger.enter(entry)


async def test_usage_is_summed_by_day_and_model(admin: httpx.AsyncClient) -> None:
    told = (await admin.get("/tenants/acme/usage")).json()
    assert (told["tenant"], told["start"], told["end"]) == ("acme", "2023-11-01", "2023-11-14")
    (row,) = told["data"]
    assert (row["day"], row["model"], row["requests"], row["work"]) == ("2023-11-14", "tiny", 2, 96)
    empty = (await admin.get("/tenants/acme/usage", params={"start": "2023-11-01", "end": "2023-11-13"})).json()
    assert empty["data"] == []


async def test_the_usage_of_a_tenant_that_is_gone_is_kept_and_of_one_that_never_was_there_is_none(
    admin: httpx.AsyncClient,
) -> None:
    assert (await admin.get("/tenants/gone/usage")).json()["total"]["work"] == 5
    assert error_of(await admin.get("/tenants/nobody/usage")) == (404, "tenant_not_found")


async def test_entries_come_as_files(admin: httpx.AsyncClient) -> None:
    lines = (await admin.get("/tenants/acme/usage/entries")).text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["a", "b"]
    table = await admin.get("/tenants/acme/usage/entries", params={"format": "csv"})
    assert table.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [(row["id"], row["work"], row["error_code"]) for row in rows] == [("a", "96", ""), ("b", "0", "no_replica")]


async def test_days_that_are_none_are_refused_by_name(admin: httpx.AsyncClient) -> None:
    refused = await admin.get("/tenants/acme/usage", params={"start": "yesterday"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "start")
    assert (await admin.get("/tenants/acme/usage/entries", params={"format": "xml"})).status_code == 400
