"""Places of state for the tests, each started when it is first used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from tests.deployments.state.servers import Place, cluster, redis_server, sentinel, single, valkey_server

PROGRAMS = {"valkey": valkey_server, "redis": redis_server}
TOPOLOGIES = {"single": single, "sentinel": sentinel, "cluster": cluster}

PlaceOf = Callable[[str], Place]


@pytest.fixture(scope="session")
def place_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlaceOf]:
    """Places by their names, such as ``valkey-cluster``."""
    with ExitStack() as stack:

        @cache
        def start(name: str) -> Place:
            program, topology, *_ = name.split("-")
            directory = tmp_path_factory.mktemp(name)
            return stack.enter_context(TOPOLOGIES[topology](PROGRAMS[program](), directory))

        yield start


@pytest.fixture
def valkey(place_of: PlaceOf) -> Place:
    """A single server with nothing in it."""
    place = place_of("valkey-single")
    place.flush()
    return place
