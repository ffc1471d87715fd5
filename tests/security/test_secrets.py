"""No secret, and no word of a prompt or an answer, is left where it does not belong: a whole cluster is searched."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from redis import Redis

from cluster.client import AdminClient
from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2 as pb
from deployments.gateway.grpc.protos.dllm.inference.v1.inference_pb2_grpc import InferenceServiceStub
from deployments.state.address import StateAddress
from deployments.tenancy.keys import make_key
from tests.security.running import Running, running, words

pytestmark = pytest.mark.full

WORD = "zyxwvutsrqponm"
"""Part of a prompt and of what is pinned in an answer; no program and no library says it by itself."""

ADMIN_KEY = make_key("admin")
DECLARED_KEY, LONE_KEY = make_key("test"), make_key("test")
MEANT = ("cluster.json", "valkey.conf", "cluster.yaml")
"""Files that hold secrets on purpose, and that only their owner may read or that the operator has written."""


@dataclass(frozen=True, slots=True)
class Played:
    """A cluster in which everything has happened, and what nobody may find of it."""

    cluster: Running
    secrets: dict[str, str]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("secrets")
    configuration = {
        "http": {"port": 0},
        "grpc": {"port": 0},
        "admin": {"port": 0, "key": ADMIN_KEY},
        "keys": [{"tenant": "acme", "key": DECLARED_KEY}],
        "telemetry": {"traces": {"exporter": "file", "file": str(folder / "traces.jsonl")}},
        "ray": {"dashboard": True},
    }
    with running(configuration, folder) as cluster:
        yield Played(cluster, play(cluster))


def play(cluster: Running) -> dict[str, str]:
    """Have keys made, rotated and used rightly and wrongly, and texts answered and refused. The secrets by name."""
    with AdminClient(cluster.admin_url, ADMIN_KEY) as admin:
        made = admin.create_key("acme", name="made")
        rotated = admin.rotate_key(made.id, overlap_seconds=600)
        admin.revoke_key(rotated.id)
    for key in (DECLARED_KEY, made.key, rotated.key, LONE_KEY, ADMIN_KEY):
        _use(cluster, key)
    _ask(cluster)
    _call(cluster)
    httpx.put(f"{cluster.admin_url}/admin/v1/tenants/{WORD}", content=b"{", headers=_bearer(ADMIN_KEY))
    return {
        "admin key": ADMIN_KEY,
        "declared key": DECLARED_KEY,
        "made key": made.key,
        "rotated key": rotated.key,
        "unknown key": LONE_KEY,
        "password of the state": str(StateAddress.parse(cluster.record["state_url"]).password),
        "token of Ray": cluster.variable("RAY_AUTH_TOKEN"),
    }


def _bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}", "content-type": "application/json"}


def _use(cluster: Running, key: str) -> None:
    """A key as it should be used, and in places where it does not belong."""
    basic = base64.b64encode(f"{key}:".encode()).decode()
    for headers in (_bearer(key), {"authorization": key}, {"authorization": f"Basic {basic}"}, {"x-api-key": key}):
        httpx.get(f"{cluster.base_url}/v1/models", headers=headers, timeout=60)
    httpx.get(f"{cluster.base_url}/v1/models?api_key={key}", headers=_bearer(DECLARED_KEY), timeout=60)
    httpx.get(f"{cluster.admin_url}/admin/v1/tenants", headers=_bearer(key + "x"), timeout=60)


def _ask(cluster: Running) -> None:
    """Answers in one piece, as streams, stored and refused."""
    infill = {"model": "tiny-code", "template": f"{WORD} = {{{{hole}}}}\n", "hole_tokens": 2}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("infill", infill),
        ("completions", {"model": "tiny-code", "prompt": WORD, "max_tokens": 4, "echo": True}),
        ("completions", {"model": "tiny-code", "prompt": WORD, "max_tokens": 4, "stream": True, "store_stream": True}),
        ("chat/completions", {"model": "tiny-code", "messages": [{"role": "user", "content": WORD}], "max_tokens": 4}),
        ("responses", {"model": "tiny-code", "input": WORD, "max_output_tokens": 4}),
        ("completions", {"model": WORD, "prompt": WORD}),
        ("completions", {"model": "tiny-code", "prompt": WORD, "max_tokens": 10**9}),
        ("completions", {"model": "tiny-code", "prompt": WORD, WORD: WORD, "max_tokens": 2}),
        ("completions", {"model": "tiny-code", "prompt": WORD, "user": WORD, "stop": [WORD], "max_tokens": 2}),
    ]
    with httpx.Client(base_url=f"{cluster.base_url}/v1/", headers=_bearer(DECLARED_KEY), timeout=120) as http:
        statuses = [http.post(path, json=body).status_code for path, body in asked]
        http.post("completions", content=f'{{"prompt": "{WORD}')
        http.get(f"requests/{WORD}")
        http.get(f"usage?start={WORD}")
    assert statuses == [200, 200, 200, 200, 200, 404, 400, 200, 200]


def _call(cluster: Running) -> None:
    metadata = (("authorization", f"Bearer {DECLARED_KEY}"),)
    with grpc.insecure_channel(str(cluster.record["grpc_address"])) as channel:
        stub = InferenceServiceStub(channel)
        asked = pb.GenerateRequest(completion=pb.Completion(model="tiny-code", prompt=WORD, max_tokens=2))
        stub.Generate(asked, metadata=metadata)
        with pytest.raises(grpc.RpcError):
            stub.Generate(pb.GenerateRequest(completion=pb.Completion(model=WORD)), metadata=metadata)


def left_by(played: Played) -> Iterator[tuple[str, bytes]]:
    """All that the cluster leaves or tells, with where that is."""
    cluster = played.cluster
    for folder in cluster.folders():
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.name not in MEANT:
                yield str(path), path.read_bytes()
    for process in cluster.processes():
        yield str(process / "cmdline"), (process / "cmdline").read_bytes() if process.exists() else b""
    metrics = httpx.get(f"{cluster.admin_url}/metrics", headers=_bearer(ADMIN_KEY), timeout=60)
    assert b"dllm_requests_total" in metrics.content
    yield "metrics", metrics.content
    yield from _told_by_ray(cluster)


def _told_by_ray(cluster: Running) -> Iterator[tuple[str, bytes]]:
    headers = {"authorization": f"Bearer {cluster.variable('RAY_AUTH_TOKEN')}"}
    for path in ("/api/serve/applications/", "/api/v0/actors?detail=1", "/api/v0/tasks?detail=1", "/api/jobs/"):
        answers = [answer for answer in _everywhere(cluster, path, headers) if answer.status_code == 200]
        assert answers, path
        yield from ((path, answer.content) for answer in answers)


def _everywhere(cluster: Running, path: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
    from tests.security.test_reach import listening

    for _, port in listening(cluster):
        try:
            yield httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers, timeout=20)
        except httpx.HTTPError:
            continue


def kept_in(redis: Redis) -> Iterator[tuple[str, bytes]]:
    """Every key of the state with its value as the server would move it elsewhere."""
    for name in redis.scan_iter(count=1000):
        yield f"Redis {name!r}", name + (redis.dump(name) or b"")


def test_no_secret_is_left_anywhere(played: Played) -> None:
    searched = 0
    found = []
    with Redis.from_url(str(played.cluster.record["state_url"])) as redis:
        for place, content in (*left_by(played), *kept_in(redis)):
            searched += 1
            found += [(place, name) for name, secret in played.secrets.items() if secret.encode() in content]
    assert searched > 40
    assert found == []


def test_no_word_of_a_tenant_is_left_anywhere(played: Played) -> None:
    assert [place for place, content in left_by(played) if WORD.encode() in content] == []


def test_what_holds_secrets_is_for_its_owner_alone(played: Played) -> None:
    held = [path for folder in played.cluster.folders() for name in MEANT[:2] for path in folder.rglob(name)]
    assert len(held) >= 2
    assert {path.stat().st_mode & 0o077 for path in held} == {0}


def test_the_search_finds_what_is_there(played: Played) -> None:
    (record,) = played.cluster.folder.rglob("cluster.json")
    assert ADMIN_KEY.encode() in record.read_bytes()
    log = Path(str(played.cluster.record["access_log"])).read_text()
    assert log.count("\n") >= 10
    traces = (played.cluster.folder / "traces.jsonl").read_text()
    assert "gen_ai.request.model" in traces
    assert any(path.name == "raylet.out" for folder in played.cluster.folders() for path in folder.rglob("*"))
    assert any("raylet" in word for process in played.cluster.processes() for word in words(process))
