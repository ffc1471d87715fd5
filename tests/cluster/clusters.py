"""Clusters for tests."""

from __future__ import annotations

from cluster.runtime import RunningCluster
from deployments.config import ClusterConfig
from deployments.tenancy.keys import make_key

KEY = make_key("test", lambda count: b"k" * count)


def configuration(state_url: str = "redis://127.0.0.1:1/0") -> ClusterConfig:
    """One model, one key, any free port."""
    return ClusterConfig.model_validate(
        {
            "http": {"port": 0},
            "grpc": {"port": 0},
            "admin": {"port": 0},
            "state": {"url": state_url},
            "keys": [{"tenant": "acme", "key": KEY}],
            "models": [{"id": "tiny-code", "checkpoint": "embedded:tiny-code"}],
        }
    )


def running(base_url: str = "http://127.0.0.1:8000/v1", *, ready: bool = True) -> RunningCluster:
    """A cluster whose process is no process of ours."""
    state_url, admin_url = "redis://:secret@127.0.0.1:1/0", "http://127.0.0.1:8001"
    return RunningCluster(2**22 + 1, base_url, KEY, state_url, None, admin_url, "an-admin-key", "127.0.0.1:9000", ready)
