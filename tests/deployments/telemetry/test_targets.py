from __future__ import annotations

from collections.abc import Iterator

import pytest

from deployments.telemetry.targets import MemoryTargets, RayTargets, Target, Targets
from tests.deployments.rays import serving_ray

GATEWAY = Target("gateway", "aa", "127.0.0.1:1", "one")
WORKER = Target("worker", "aa", "127.0.0.1:2", "two")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with serving_ray():
        yield


@pytest.fixture(params=["memory", pytest.param("ray", marks=pytest.mark.full)])
def targets(request: pytest.FixtureRequest) -> Targets:
    if request.param == "memory":
        return MemoryTargets()
    request.getfixturevalue("cluster")
    return RayTargets(request.node.name)


def test_what_is_announced_is_there_by_name(targets: Targets) -> None:
    assert targets.all() == ()
    targets.announce(WORKER)
    targets.announce(GATEWAY)
    targets.announce(WORKER)
    assert targets.all() == (GATEWAY, WORKER)
    assert [target.process for target in targets.all()] == ["gateway-aa", "worker-aa"]


def test_a_process_that_begins_again_takes_its_place(targets: Targets) -> None:
    before, after = Target("controller", "", "127.0.0.1:3", "a"), Target("controller", "", "127.0.0.1:4", "b")
    for target in (before, after):
        targets.announce(target)
    assert targets.all() == (after,)
    targets.remove(before)
    assert targets.all() == (after,)
    targets.remove(after)
    targets.remove(after)
    assert targets.all() == ()


@pytest.mark.full
def test_applications_have_processes_of_their_own(cluster: None) -> None:
    one, two = RayTargets("one"), RayTargets("one-more")
    one.announce(GATEWAY)
    two.announce(WORKER)
    assert (one.all(), two.all()) == ((GATEWAY,), (WORKER,))
