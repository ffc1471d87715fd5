from __future__ import annotations

import pytest

from deployments.gateway.settings import GatewaySettings
from tests.deployments.gateway.scripted import BIDIRECTIONAL, UNIFORM, ScriptedPool, client, gateway, saying

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_models_show_their_capabilities() -> None:
    async with client(gateway(saying("ok"))) as http:
        listed = (await http.get("/v1/models")).json()
        one = (await http.get("/v1/models/tiny")).json()
    assert listed == {"object": "list", "data": [one]}
    assert (one["id"], one["object"], one["created"]) == ("tiny", "model", 1_700_000_000)
    capabilities = one["dllm"]
    told_apart = {"defaults", "parameters", "prediction"}
    assert {*capabilities["algorithms"]} - {*capabilities["prediction"]} == {"random", "ancestral", "leftmost"}
    assert capabilities["defaults"]["diffusion"]["confidence_threshold"] == 0.8
    assert capabilities["parameters"].keys() == set(capabilities["algorithms"])
    assert "diffusion.confidence_threshold" in capabilities["parameters"]["confidence_threshold"]
    assert "diffusion.confidence_threshold" not in capabilities["parameters"]["low_confidence"]
    assert {name: capabilities[name] for name in capabilities if name not in told_apart} == {
        "revision": "rev-1",
        "canvas_length": 32,
        "max_canvas_length": 128,
        "max_position": 256,
        "context_attention": "block_causal",
        "context_attentions": ["block_causal"],
        "corruption": "absorbing",
        "algorithms": [
            "low_confidence",
            "low_entropy",
            "topk_margin",
            "maskgit_plus",
            "random",
            "ancestral",
            "leftmost",
            "confidence_threshold",
            "capped_threshold",
            "quota_threshold",
            "factor",
            "entropy_bound",
            "entropy_sum",
            "joint_threshold",
            "pipelined",
        ],
        "schedules": ["linear", "cosine", "dream", "even", "rounded"],
        "caches": {"block_causal": ["none"]},
        "infill": True,
        "guidance": True,
        "work_weight": 1.0,
        "efforts": {
            "instant": {"confidence_threshold": 0.5, "max_steps": 8},
            "low": {"confidence_threshold": 0.6667, "max_steps": 16},
            "medium": {"confidence_threshold": 0.8},
            "high": {"confidence_threshold": 0.8889, "max_steps": 32},
        },
    }


async def test_a_model_lists_only_what_it_can_run() -> None:
    async with client(gateway(saying("ok"), **UNIFORM)) as http:
        one = (await http.get("/v1/models/tiny")).json()["dllm"]
    assert (one["algorithms"], one["schedules"], one["guidance"]) == (["renoise"], [], False)
    assert {"diffusion.t_min", "temperature"} <= set(one["parameters"]["renoise"])
    async with client(gateway(saying("ok"), **BIDIRECTIONAL)) as http:
        one = (await http.get("/v1/models/tiny")).json()["dllm"]
    assert one["caches"] == {"bidirectional": ["none", "prefix", "dual", "vicinity"]}


async def test_ids_and_trace_come_back() -> None:
    brought = {"x-request-id": "mine-1", "x-client-request-id": "theirs", "traceparent": TRACE}
    async with client(gateway(saying("ok"))) as http:
        headers = (await http.get("/v1/models", headers=brought)).headers
    assert (headers["x-request-id"], headers["x-client-request-id"]) == ("mine-1", "theirs")
    assert headers["traceparent"].split("-")[1] == TRACE.split("-")[1]
    assert headers["traceparent"].split("-")[2] != TRACE.split("-")[2]
    assert headers["openai-processing-ms"] == "0"


async def test_the_wait_for_a_place_is_told_where_it_is_known() -> None:
    async with client(gateway(saying("ok"))) as http:
        answer = await http.post("/v1/completions", json={"model": "tiny", "prompt": "a", "max_tokens": 4})
        models = await http.get("/v1/models")
    assert answer.headers["x-dllm-queue-ms"] == "0"
    assert "x-dllm-queue-ms" not in models.headers


async def test_who_brings_no_id_is_given_one() -> None:
    async with client(gateway(saying("ok"))) as http:
        headers = (await http.get("/v1/models", headers={"x-request-id": "not an id"})).headers
    assert headers["x-request-id"] == "req_01HF7YAT000W3GE1R70W3GE1R7"
    assert headers["traceparent"] == f"00-{'07' * 16}-{'07' * 8}-00"


@pytest.mark.parametrize("path", ["/health/ready", "/health"])
@pytest.mark.parametrize("trouble", [False, None])
async def test_ready_means_a_replica_answers(path: str, trouble: bool | None) -> None:
    pool = ScriptedPool(saying("ok"))
    async with client(gateway(pool, settings=GatewaySettings(ready_timeout_seconds=0.01))) as http:
        ready = await http.get(path)
        pool.is_ready = trouble
        unready = await http.get(path)
        live = await http.get("/health/live")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "models": {"tiny": True}})
    assert (unready.status_code, unready.json()["error"]["code"]) == (503, "no_replica")
    assert (live.status_code, live.json()) == (200, {"status": "live"})


async def test_the_open_pages_need_no_key() -> None:
    async with client(gateway(saying("ok"), settings=GatewaySettings(version="9.9")), key="wrong") as http:
        version = await http.get("/version")
        schema = await http.get("/openapi.json")
        docs = await http.get("/docs")
    assert version.json() == {"version": "9.9"}
    assert docs.status_code == 200
    assert {"/v1/chat/completions", "/v1/completions", "/v1/infill", "/v1/models"} <= schema.json()["paths"].keys()
    assert schema.json()["info"]["version"] == "9.9"
    assert schema.json()["paths"]["/v1/infill"]["post"]["responses"].keys() >= {"200", "400", "429", "503"}


async def test_other_origins_get_no_permission() -> None:
    async with client(gateway(saying("ok"))) as http:
        headers = (await http.get("/v1/models", headers={"origin": "http://elsewhere"})).headers
    assert not [name for name in headers if name.startswith("access-control")]


async def test_nothing_that_a_request_depends_on_runs_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The framework hands plain functions to a pool of threads, which costs more the more requests wait."""

    async def refuse(function: object, *arguments: object, **named: object) -> None:
        raise AssertionError(function)

    monkeypatch.setattr("fastapi.dependencies.utils.run_in_threadpool", refuse)
    async with client(gateway(saying("ok"))) as http:
        for path, body in (("completions", {"prompt": "x"}), ("responses", {"input": "x", "store": False})):
            assert (await http.post(f"/v1/{path}", json={"model": "tiny", **body})).status_code == 200
        assert (await http.get("/v1/usage")).status_code == 200
