"""LiteLLM as a client, which needs an environment of its own: `.ci/clients` makes it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Cluster

pytestmark = pytest.mark.full

PYTHON = Path(__file__).parents[2] / ".cache" / "clients" / "bin" / "python"
PROGRAM = Path(__file__).with_name("litellm_program.py")


@pytest.fixture(scope="module")
def told(cluster: Cluster) -> dict[str, Any]:
    """What LiteLLM made of the cluster's answers."""
    environment = {
        **os.environ,
        "BASE_URL": f"{cluster.base_url}/v1",
        "API_KEY": cluster.key,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    done = subprocess.run([PYTHON, PROGRAM], env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_an_answer_and_its_stream_are_the_same_text(told: dict[str, Any]) -> None:
    assert told["chat"]["text"] == told["stream"]["text"]
    assert told["chat"]["text"]
    assert told["chat"]["finish_reason"] == told["stream"]["finish_reason"]
    assert told["chat"]["usage"] == told["stream"]["usage"]


def test_a_completion_is_text(told: dict[str, Any]) -> None:
    assert told["completion"]["tokens"] > 0


def test_errors_are_those_of_litellm(told: dict[str, Any]) -> None:
    assert told["errors"] == {
        "model": ["NotFoundError", 404],
        "max_tokens": ["ContextWindowExceededError", 400],
        "temperature": ["BadRequestError", 400],
        "key": ["AuthenticationError", 401],
    }
