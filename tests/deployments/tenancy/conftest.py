"""Places of state for the tests, each started when it is first used."""

from __future__ import annotations

from tests.deployments.state.conftest import place_of, valkey

__all__ = ["place_of", "valkey"]
