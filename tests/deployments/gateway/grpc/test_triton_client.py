"""The Open Inference Protocol, as a client of others speaks it."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from tests.deployments.gateway.grpc.served import Methods, grpc_server, serving
from tests.deployments.gateway.scripted import KEY, ScriptedPool, byte_text, saying

PYTHON = Path(__file__).parents[4] / ".cache" / "clients" / "bin" / "python"
PROGRAM = Path(__file__).with_name("triton_program.py")


@pytest.mark.full
async def test_tritons_client_gets_text_for_text() -> None:
    pool = ScriptedPool(saying("Sch", "ön"))
    async with serving(pool) as served, grpc_server(Methods(served.gateway, served.verifier)) as target:
        program = await asyncio.create_subprocess_exec(PYTHON, PROGRAM, target, KEY, stdout=subprocess.PIPE)
        told, _ = await asyncio.wait_for(program.communicate(), 60)
    assert json.loads(told) == {
        "live": True,
        "ready": True,
        "model_ready": True,
        "server": "dllm",
        "inputs": [["text_input", "BYTES"]],
        "text": ["Schön"],
        "id": "7",
        "refused": ["StatusCode.INVALID_ARGUMENT", "max_tokens: Input should be greater than or equal to 1"],
    }
    (request,) = pool.requests
    assert request.prompt[-len("Grüße".encode()) :] == tuple(byte_text().encode("Grüße"))
    assert (request.max_tokens, request.sampling.temperature, request.sampling.seed) == (8, 0.5, 3)
