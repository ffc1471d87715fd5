"""What ``dllm up`` prints when the cluster is ready."""

from __future__ import annotations

import json
import shlex

from cluster.runtime import RunningCluster
from deployments.config import ClusterConfig

EXAMPLE = 'def fibonacci(n: int) -> int:\n    """Return the n-th Fibonacci number."""'
EXAMPLE_TOKENS = 96


def curl(running: RunningCluster, model: str) -> str:
    """A command that streams an answer of ``model``, as it is pasted into a shell."""
    body = {
        "model": model,
        "stream": True,
        "max_tokens": EXAMPLE_TOKENS,
        "messages": [{"role": "user", "content": EXAMPLE}],
    }
    return " \\\n  ".join(
        (
            f"curl -N {running.base_url}/chat/completions",
            f"-H {shlex.quote(f'Authorization: Bearer {running.api_key}')}",
            "-H 'Content-Type: application/json'",
            f"-d {shlex.quote(json.dumps(body))}",
        )
    )


def greeting(config: ClusterConfig, running: RunningCluster) -> str:
    """Address, key, models and a first request."""
    models = [model.id for model in config.models]
    return (
        f"{config.name} is ready.\n\n"
        f"  base URL  {running.base_url}\n"
        f"  API key   {running.api_key}\n"
        f"  models    {', '.join(models)}\n\n"
        f"{curl(running, models[0])}\n\n"
        "Ctrl-C stops it."
    )


def connection(running: RunningCluster) -> str:
    """What a program needs, as one JSON object."""
    return json.dumps({"base_url": running.base_url, "api_key": running.api_key})
