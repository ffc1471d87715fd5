"""What ``dllm up`` prints when the cluster is ready."""

from __future__ import annotations

import json
import shlex

from cluster.runtime import RunningCluster
from deployments.config import ClusterConfig
from deployments.tenancy.keys import DEVELOPMENT

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
            f'-H "Authorization: Bearer {running.api_key or "$DLLM_API_KEY"}"',
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
        f"  gRPC      {running.grpc_address or 'off'}\n"
        f"  API key   {_key(running)}\n"
        f"  models    {', '.join(models)}\n"
        f"  operator  {running.admin_url}/admin/v1, or dllm tenants, keys, usage, limits, queue, autoscale\n\n"
        f"{curl(running, models[0])}\n\n"
        "Ctrl-C stops it."
    )


def _key(running: RunningCluster) -> str:
    """The key to try; one that was made for this run says so."""
    if running.api_key is None:
        return "one of those that are configured by their digests"
    made = running.api_key.startswith(f"dllm_{DEVELOPMENT}_")
    return running.api_key + ("  (for development: it opens everything)" if made else "")


def connection(running: RunningCluster) -> str:
    """What a program needs, as one JSON object."""
    return json.dumps({"base_url": running.base_url, "api_key": running.api_key})
