"""The operator's commands and the client against the running cluster."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from cluster.cli.main import app
from cluster.client import AdminClient, ApiError, Client, RetryPolicy
from cluster.client.admin_answers import Limits, Tenant
from cluster.client.errors import InvalidApiKey
from cluster.client.events import CanvasFrame, TextDelta
from tests.end_to_end.conftest import Cluster

SECONDS = 20.0
PROMPT = "def read_lines(path):\n"


@pytest.fixture
def dllm(cluster: Cluster, tmp_path: Path) -> Callable[..., Result]:
    def run(*arguments: str, exit_code: int = 0, **environment: str) -> Result:
        variables = {
            "XDG_RUNTIME_DIR": str(tmp_path),
            "DLLM_ADMIN_URL": cluster.admin_url,
            "DLLM_ADMIN_KEY": cluster.admin_key,
            "DLLM_BASE_URL": f"{cluster.base_url}/v1",
            **environment,
        }
        result = CliRunner().invoke(app, arguments, env=variables)
        assert result.exit_code == exit_code, result.output
        return result

    return run


@pytest.fixture
def admin(cluster: Cluster) -> Iterator[AdminClient]:
    with AdminClient(cluster.admin_url, cluster.admin_key) as client:
        yield client


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether something that other processes do comes to hold in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_tenant_from_its_creation_to_its_end(dllm: Callable[..., Result], cluster: Cluster) -> None:
    dllm("tenants", "set", "bravo", "--limit", "concurrency=4", "--limit", "work_per_minute=1000000")
    key = dllm("keys", "create", "bravo", "--name", "test").stdout.strip()
    said = dllm("chat", PROMPT, "--model", "tiny-code", "--max-tokens", "16", "--seed", "1", DLLM_API_KEY=key)
    assert "position-forwards" in said.stderr
    watched = dllm(
        "chat", PROMPT, "--model", "tiny-code", "--max-tokens", "16", "--seed", "1", "--canvas", DLLM_API_KEY=key
    )
    assert "-- canvas 0, step 1, " in watched.stdout
    assert watched.stdout.endswith(f"-- answer\n{said.stdout}")

    def entries() -> list[dict[str, object]]:
        lines = dllm("usage", "--tenant", "bravo", "--format", "jsonl").stdout.splitlines()
        return [json.loads(line) for line in lines]

    assert within(SECONDS, lambda: len(entries()) == 2)
    (report,) = json.loads(dllm("usage", "--tenant", "bravo", "--json").stdout)
    work = sum(int(str(entry["work"])) for entry in entries())
    assert (report["data"][0]["requests"], report["data"][0]["work"]) == (2, work)
    left = json.loads(dllm("limits", "show", "bravo", "--json").stdout)["limits"]
    assert left["concurrency"]["remaining"] == 4
    assert left["work_per_minute"]["remaining"] >= 1_000_000 - work
    assert "tiny-code" in dllm("queue").stdout

    dllm("tenants", "remove", "bravo")
    with Client(f"{cluster.base_url}/v1", key) as client:
        assert within(1.0, lambda: refuses(client))


def refuses(client: Client) -> bool:
    try:
        client.models()
    except InvalidApiKey:
        return True
    return False


def test_a_revoked_key_is_refused_within_a_second(admin: AdminClient, cluster: Cluster) -> None:
    made = admin.create_key("acme", scopes=["generate"])
    with Client(f"{cluster.base_url}/v1", made.key) as client:
        assert client.models().data
        admin.revoke_key(made.id)
        assert within(1.0, lambda: refuses(client))


def test_a_rotated_key_is_valid_beside_the_new_one(admin: AdminClient, cluster: Cluster) -> None:
    old = admin.create_key("acme")
    new = admin.rotate_key(old.id, overlap_seconds=600)
    for key in (old.key, new.key):
        with Client(f"{cluster.base_url}/v1", key) as client:
            assert client.models().data


def test_the_operators_limits_hold(admin: AdminClient, cluster: Cluster) -> None:
    made = admin.create_key(admin.put_tenant(Tenant(name="small", limits=Limits(work_per_minute=1))).name)
    with Client(f"{cluster.base_url}/v1", made.key, retries=RetryPolicy(0)) as client:
        assert within(1.0, lambda: refusal_of(client) == ("work_exceeds_limit", "work_per_minute"))
        admin.put_tenant(Tenant(name="small", limits=Limits(work_per_day=500)))
        assert within(SECONDS, lambda: refusal_of(client) == ("insufficient_quota", "work_per_day"))
    assert admin.limits("small").limits["work_per_day"].remaining < 500
    assert admin.test_limits("small", work=500).code == "insufficient_quota"
    admin.remove_tenant("small")


def refusal_of(client: Client) -> tuple[str, str] | None:
    try:
        client.complete(PROMPT, "tiny-code", max_tokens=8)
    except ApiError as error:
        return error.code, error.details["limit"]
    return None


def test_the_client_streams_and_watches(cluster: Cluster) -> None:
    with Client(f"{cluster.base_url}/v1", cluster.key) as client:
        whole = client.complete(PROMPT, "tiny-code", max_tokens=24, seed=3)
        watch = {"stream": "canvas", "canvas_format": "patch"}
        with client.stream_completion(
            PROMPT, "tiny-code", max_tokens=24, seed=3, diffusion=watch, resume=True
        ) as stream:
            events = list(stream)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == whole.text
    assert any(isinstance(event, CanvasFrame) and event.edits for event in events)


def test_the_operators_port_and_the_tenants_port_do_not_mix(cluster: Cluster) -> None:
    as_operator = {"authorization": f"Bearer {cluster.admin_key}"}
    as_tenant = {"authorization": f"Bearer {cluster.key}"}
    assert httpx.get(f"{cluster.base_url}/admin/v1/tenants", headers=as_operator).status_code == 404
    assert httpx.get(f"{cluster.base_url}/v1/models", headers=as_operator).status_code == 401
    assert httpx.get(f"{cluster.admin_url}/admin/v1/tenants", headers=as_tenant).status_code == 401
    assert httpx.get(f"{cluster.admin_url}/v1/models", headers=as_operator).status_code == 404
