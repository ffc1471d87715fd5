"""Servers that several parts of the suite share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.valkey import embedded_valkey


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """The URL of a real Valkey server, as `dllm up` starts it."""
    with embedded_valkey() as server:
        yield server.url
