"""Clusters for tests."""

from __future__ import annotations

from cluster.runtime import RunningCluster
from deployments.config import ClusterConfig

KEY = "dllm_dev_test_0123456789abcdef"


def configuration(state_url: str = "redis://127.0.0.1:1/0") -> ClusterConfig:
    """One model, one key, any free port."""
    return ClusterConfig.model_validate(
        {
            "http": {"port": 0},
            "state": {"url": state_url},
            "keys": [{"tenant": "acme", "key": KEY}],
            "models": [{"id": "tiny-code", "checkpoint": "embedded:tiny-code"}],
        }
    )


def running(base_url: str = "http://127.0.0.1:8000/v1", *, ready: bool = True) -> RunningCluster:
    """A cluster whose process is no process of ours."""
    return RunningCluster(2**22 + 1, base_url, KEY, "redis://:secret@127.0.0.1:1/0", None, ready)
