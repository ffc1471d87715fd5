from __future__ import annotations

import subprocess
import sys

import cluster.client

HEAVY = {"ray", "torch", "transformers", "tokenizers", "numpy", "fastapi", "starlette", "redis", "deployments"}
LOADED = "import sys; import cluster.client; print(*{name.partition('.')[0] for name in sys.modules})"


def test_the_client_needs_nothing_of_the_cluster() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"httpx", "pydantic", "cluster"} <= loaded
    assert not loaded & HEAVY


def test_what_the_package_offers_is_there() -> None:
    assert all(hasattr(cluster.client, name) for name in cluster.client.__all__)
