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


ON_RAY = ("tests/chaos/", "tests/end_to_end/", "tests/install/", "tests/security/", "tests/cluster/cli/test_life.py")
"""Where tests have a Ray of their own, besides the modules that import ``tests.deployments.rays``."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of several processes each takes whole modules, and one of them all that start a Ray."""
    for item in items:
        module = item.nodeid.partition("::")[0]
        on_ray = module.startswith(ON_RAY) or hasattr(getattr(item, "module", None), "serving_ray")
        item.add_marker(pytest.mark.xdist_group("ray" if on_ray else module))
