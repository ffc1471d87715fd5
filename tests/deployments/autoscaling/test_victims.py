"""Whom a shrinking pool loses. The private names of Ray that this rests on are those of the installed one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.serve._private.deployment_scheduler import DeploymentScheduler

from deployments.autoscaling import victims
from deployments.autoscaling.victims import preferred, stop_least_busy


@dataclass(frozen=True, order=True)
class Replica:
    name: str

    def to_full_id_str(self) -> str:
        return self.name


OLD, MIDDLE, NEW, STARTING = map(Replica, ("old", "middle", "new", "starting"))


def new_scheduler() -> type:
    """A class whose method is as Ray's: the one that does not run yet first, then the newest."""

    class Scheduler:
        def __init__(self) -> None:
            self._running_replicas = {"pool": {OLD: "node", MIDDLE: "node", NEW: "node"}}

        def _get_replicas_to_stop(
            self,
            deployment_id: str,
            max_num_to_stop: int,
            gang_id_by_replica: Any = None,
            replicas_by_gang_id: Any = None,
            gang_size: int | None = None,
        ) -> set[Replica]:
            return set([STARTING, NEW, MIDDLE, OLD][:max_num_to_stop])

    return Scheduler


def by_name(*names: str) -> Callable[[list[str]], list[str]]:
    return lambda replicas: sorted(replicas, key=names.index)


def test_the_private_names_of_ray_are_those_that_are_wrapped() -> None:
    method = getattr(DeploymentScheduler, victims.METHOD)
    assert list(inspect.signature(method).parameters) == victims.PARAMETERS
    assert f"self.{victims.RUNNING}[deployment_id].items()" in inspect.getsource(inspect.unwrap(method))


@pytest.mark.parametrize(("count", "stopped"), [(1, {STARTING}), (2, {STARTING, OLD}), (3, {STARTING, OLD, NEW})])
def test_those_with_least_work_are_stopped_after_those_that_do_not_run_yet(count: int, stopped: set[Replica]) -> None:
    scheduler = new_scheduler()
    assert stop_least_busy(by_name("old", "new", "middle"), scheduler)
    assert scheduler()._get_replicas_to_stop("pool", count) == stopped


def test_gangs_are_left_to_ray() -> None:
    scheduler = new_scheduler()
    stop_least_busy(by_name("old", "new", "middle"), scheduler)
    assert scheduler()._get_replicas_to_stop("pool", 2, gang_size=2) == {STARTING, NEW}


def test_an_order_that_fails_leaves_the_choice_to_ray() -> None:
    scheduler = new_scheduler()
    stop_least_busy(by_name("stranger"), scheduler)
    assert scheduler()._get_replicas_to_stop("pool", 2) == {STARTING, NEW}


def test_it_is_wrapped_once() -> None:
    scheduler = new_scheduler()
    assert stop_least_busy(by_name("old", "new", "middle"), scheduler)
    wrapped = scheduler._get_replicas_to_stop  # type: ignore[attr-defined]
    assert stop_least_busy(by_name("new", "old", "middle"), scheduler)
    assert scheduler._get_replicas_to_stop is wrapped  # type: ignore[attr-defined]


def test_a_ray_that_has_changed_is_left_alone() -> None:
    class Changed:
        def _get_replicas_to_stop(self, request: object) -> set[Replica]:
            return set()

    before = Changed._get_replicas_to_stop
    assert not stop_least_busy(list, Changed)
    assert not stop_least_busy(list, object)
    assert Changed._get_replicas_to_stop is before


@given(
    running=st.sets(st.builds(Replica, st.text("abc", min_size=1, max_size=2))),
    others=st.sets(st.builds(Replica, st.text("xyz", min_size=1, max_size=2))),
    data=st.data(),
)
def test_as_many_are_stopped_as_ray_would(running: set[Replica], others: set[Replica], data: st.DataObject) -> None:
    usual = data.draw(st.sets(st.sampled_from(sorted(running | others)))) if running | others else set()
    chosen = preferred(usual, sorted(running), lambda names: sorted(names, reverse=True))
    assert len(chosen) == len(usual)
    assert chosen - running == usual - running
    kept = running - chosen
    assert not kept or not chosen & running or max(kept) < min(chosen & running)
    assert preferred(usual, sorted(running), list) == usual, "of equals, Ray's choice goes first"
