"""Servers that several parts of the suite share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from cluster.hosting import prepare_environment
from cluster.valkey import embedded_valkey
from deployments.config import ClusterConfig

# Networks this small lose by a second thread, and with one the rows of a product do not depend on their number.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Ray reads its environment when it is imported, which some test modules do before the first cluster starts.
prepare_environment(ClusterConfig())


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """The URL of a real Valkey server, as `dllm up` starts it."""
    with embedded_valkey() as server:
        yield server.url
