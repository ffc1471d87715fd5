from __future__ import annotations

import pytest

from deployments.document import ConfigError
from loadtest.running.reach import Reach
from tests.cluster.clusters import running

NOTHING = dict.fromkeys(("base_url", "grpc_address", "admin_url", "admin_key"))


def test_the_cluster_that_runs_here_is_found() -> None:
    here = running()
    assert Reach.of(NOTHING, here) == Reach(here.base_url, here.grpc_address, here.admin_url, here.admin_key)


def test_an_address_is_taken_as_a_whole() -> None:
    given = NOTHING | {"base_url": "http://elsewhere/v1", "admin_key": "key"}
    assert Reach.of(given, running()) == Reach("http://elsewhere/v1", None, None, "key")


def test_without_an_address_and_a_cluster_there_is_nothing_to_load() -> None:
    with pytest.raises(ConfigError, match="no cluster is running here"):
        Reach.of(NOTHING, None)
