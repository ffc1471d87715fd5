"""The operator's commands against the operator's application."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cluster.cli.main import app
from deployments.tenancy.keys import parse_key
from deployments.tenancy.ledger.ledger import LedgerEntry
from deployments.tenancy.limits.limiter import Charge
from tests.cluster.cli.bridge import Bridge
from tests.deployments.gateway.admin.administration import ACME, ADMIN_KEY, NOW, Place

ENVIRONMENT = {"DLLM_ADMIN_URL": "http://admin", "DLLM_ADMIN_KEY": ADMIN_KEY}


class Shell:
    """`dllm` for the operator of a place."""

    def __init__(self, home: Path) -> None:
        self.place = Place()
        self._home = home

    def __call__(self, *arguments: str, exit_code: int = 0, **environment: str) -> Result:
        variables = {"XDG_RUNTIME_DIR": str(self._home), **ENVIRONMENT, **environment}
        result = CliRunner().invoke(app, arguments, obj=Bridge(admin=self.place.app), env=variables)
        assert result.exit_code == exit_code, result.output
        return result

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json").stdout)


@pytest.fixture
def dllm(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def rows(table: str) -> list[list[str]]:
    """The cells of a table, which are apart by two spaces at least."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in table.splitlines()]


def test_tenants_are_listed_and_shown(dllm: Shell) -> None:
    header, acme, declared = rows(dllm("tenants", "list").stdout)
    assert header == ["tenant", "weight", "models", "bands", "quality floor", "limits", "declared"]
    assert acme[:4] == ["acme", "1", "all", "default, flex"]
    assert acme[-1] == "no"
    assert declared[0::6] == ["declared", "yes"]
    assert dllm.json("tenants", "show", "acme")["limits"]["work_per_day"] == 9000
    assert [tenant["name"] for tenant in dllm.json("tenants", "list")] == ["acme", "declared"]


def test_a_tenant_is_created_and_changed_in_what_is_given(dllm: Shell) -> None:
    dllm("tenants", "set", "bravo", "--weight", "3", "--model", "tiny", "--model", "big", "--limit", "concurrency=4")
    dllm("tenants", "set", "bravo", "--limit", "requests_per_minute=60", "--limit", "queued=none", "--band", "flex")
    held = dllm.json("tenants", "show", "bravo")
    assert (held["weight"], held["models"], held["bands"]) == (3.0, ["tiny", "big"], ["flex"])
    limits = {name: value for name, value in held["limits"].items() if value is not None}
    assert limits == {"concurrency": 4, "requests_per_minute": 60}
    again = dllm.json("tenants", "set", "bravo", "--all-models", "--quality-floor", "low")
    assert (again["models"], again["quality_floor"]) == (None, "low")
    assert dllm.json("tenants", "set", "bravo", "--quality-floor", "none")["quality_floor"] is None
    assert dllm("tenants", "remove", "bravo").stdout == "bravo is removed.\n"
    gone = dllm("tenants", "show", "bravo", exit_code=1)
    assert gone.stderr.startswith("dllm: tenant_not_found: There is no such tenant. (request req_")
    assert len(gone.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--limit", "requests=5"], "requests is no limit; these are: requests_per_minute,"),
        (["--limit", "concurrency=many"], "concurrency: a number is expected, or none"),
        (["--limit", "concurrency=0"], "invalid_request_error: limits.concurrency: "),
        (["--band", "express"], "invalid_request_error: bands[0]: "),
    ],
)
def test_what_cannot_be_set_is_refused_by_name(dllm: Shell, arguments: list[str], complaint: str) -> None:
    refused = dllm("tenants", "set", "bravo", *arguments, exit_code=1)
    assert refused.stderr.startswith(f"dllm: {complaint}")
    dllm("tenants", "show", "bravo", exit_code=1)


def test_a_declared_tenant_is_not_changed(dllm: Shell) -> None:
    assert "dllm: conflict: declared is declared" in dllm("tenants", "remove", "declared", exit_code=1).stderr


def test_a_key_lives_from_its_creation_to_its_end(dllm: Shell) -> None:
    made = dllm("keys", "create", "acme", "--name", "ci", "--scope", "generate", "--expires-in", "30d")
    key = parse_key(made.stdout.strip())
    assert key.environment == "live"
    assert f"key {key.id} of acme; it is not shown again" in made.stderr
    (listed,) = dllm.json("keys", "list", "acme")
    assert (listed["name"], listed["scopes"], listed["expires_at"]) == ("ci", ["generate"], NOW + 30 * 86_400)
    header, row = rows(dllm("keys", "list", "acme").stdout)
    assert header[:2] == ["id", "name"]
    assert row[:4] == [key.id, "ci", "generate", "all"]
    assert row[4:] == ["2023-11-14 22:13Z", "2023-12-14 22:13Z", "-", "-", "no"]
    assert key.text not in dllm("keys", "list", "acme").output

    new = dllm.json("keys", "rotate", key.id, "--overlap", "12h", "--environment", "ci")
    assert parse_key(new["key"]).environment == "ci"
    assert new["replaces"]["expires_at"] == NOW + 12 * 3600
    assert dllm("keys", "revoke", new["id"]).stdout == f"Key {new['id']} of acme is revoked.\n"
    ends = {each["id"]: each["revoked_at"] for each in dllm.json("keys", "list", "acme")}
    assert ends == {key.id: None, new["id"]: NOW}
    assert "key_not_found" in dllm("keys", "revoke", "abcdefgh", exit_code=1).stderr


def test_a_rotation_lasts_a_day_unless_told_otherwise(dllm: Shell) -> None:
    key = parse_key(dllm("keys", "create", "acme").stdout.strip())
    rotated = dllm("keys", "rotate", key.id)
    assert parse_key(rotated.stdout.strip()).id != key.id
    assert f"Key {key.id} ends at 2023-11-15 22:13Z." in rotated.stderr


def test_a_time_needs_its_unit(dllm: Shell) -> None:
    dllm("keys", "create", "acme", "--expires-in=12", exit_code=2)
    assert dllm.json("keys", "list", "acme") == []


def test_limits_are_shown_and_tried(dllm: Shell) -> None:
    asyncio.run(_reserve(dllm.place, 1500))
    shown = rows(dllm("limits", "show", "acme").stdout)
    assert ["work_per_minute", "6,000", "4,500", "15"] in shown
    assert dllm.json("limits", "show", "acme")["limits"]["concurrency"]["remaining"] == 1
    assert dllm("limits", "show", "declared").stdout == "declared has no limits.\n"
    assert dllm("limits", "test", "acme", "--work", "4500").stdout == "It would be admitted.\n"
    later = dllm("limits", "test", "acme", "--work", "4600").stdout
    assert later == "It would be refused: rate_limit_exceeded by work_per_minute, retry in 1.0 s.\n"
    never = dllm("limits", "test", "acme", "--work", "9001").stdout
    assert never == "It would be refused: work_exceeds_limit by work_per_minute, no wait would help.\n"
    assert dllm.json("limits", "test", "acme", "--requests", "61")["code"] == "work_exceeds_limit"


async def _reserve(place: Place, work: int) -> None:
    await place.shared.limiter.reserve(ACME, "first", Charge(requests=1, work=work))


@pytest.fixture
def used(dllm: Shell) -> Shell:
    entries = [
        LedgerEntry("a", "acme", "key1", "tiny", "/v1/infill", "default", "completed", NOW, NOW, work=96),
        LedgerEntry("b", "acme", "key1", "big", "/v1/infill", "default", "completed", NOW, NOW - 86_400, work=1904),
        LedgerEntry("c", "declared", "key2", "tiny", "/v1/infill", "default", "completed", NOW, NOW, work=5),
    ]

    async def enter() -> None:
        for entry in entries:
            await dllm.place.shared.ledger.enter(entry)

    asyncio.run(enter())
    return dllm


def test_usage_is_a_table_with_its_sum(used: Shell) -> None:
    header, *lines, total = rows(used("usage").stdout)
    assert header[:4] == ["day", "tenant", "model", "requests"]
    assert [(line[0], line[1], line[2], line[-1]) for line in lines] == [
        ("2023-11-13", "acme", "big", "1,904"),
        ("2023-11-14", "acme", "tiny", "96"),
        ("2023-11-14", "declared", "tiny", "5"),
    ]
    assert (total[0], total[-1]) == ("total", "2,005")
    one_day = used("usage", "--tenant", "acme", "--start", "2023-11-14", "--end", "2023-11-14").stdout
    assert [line[-1] for line in rows(one_day)[1:]] == ["96", "96"]
    assert [report["tenant"] for report in used.json("usage")] == ["acme", "declared"]


def test_entries_of_all_tenants_are_one_file(used: Shell) -> None:
    lines = used("usage", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["b", "a", "c"]
    table = list(csv.DictReader(io.StringIO(used("usage", "--format", "csv").stdout)))
    assert [(row["id"], row["work"]) for row in table] == [("b", "1904"), ("a", "96"), ("c", "5")]
    assert "invalid_request_error: start:" in used("usage", "--start", "yesterday", exit_code=1).stderr


def test_the_queue_is_shown(dllm: Shell) -> None:
    header, row, *_ = rows(dllm("queue").stdout)
    assert header == ["queue", "interactive", "default", "flex", "running", "jain", "max lag"]
    assert row == ["tiny:all", "0", "0", "0", "0", "1", "0"]
    assert dllm.json("queue")[0]["running"] == 0


def test_without_a_key_an_address_or_a_cluster_there_is_one_line(dllm: Shell) -> None:
    assert dllm("queue", exit_code=1, DLLM_ADMIN_KEY="").stderr == "dllm: DLLM_ADMIN_KEY is not set\n"
    assert "invalid_api_key" in dllm("queue", exit_code=1, DLLM_ADMIN_KEY="wrong").stderr
    nowhere = dllm("queue", exit_code=1, DLLM_ADMIN_URL="")
    assert nowhere.stderr == "dllm: no cluster is running here; give its address\n"
