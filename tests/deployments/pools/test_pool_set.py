"""Where a run goes by what is left of it, and when it had better go on elsewhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.config import CanvasSizes, PoolConfig
from deployments.errors import NoReplica
from deployments.pools.pool import Forecast
from deployments.pools.pool_set import Member, PoolSet, longest_canvas_left, nearest_phase
from deployments.run import Progress, Run
from dllm_worker.canvas import canvas_end, first_start, last_start
from dllm_worker.request import CacheParameters, Request
from tests.deployments.gateway.scripted import BIDIRECTIONAL, spec

PROMPT = tuple(range(3, 13))
STEAL_SECONDS = 2.0


@dataclass
class Replicas:
    """A pool whose only replica is called like the pool."""

    name: str
    wait: float | None = None
    leaves: bool = False
    gone: bool = False
    is_ready: bool = True
    replicas: int = 1
    asleep: bool = False
    runs: list[Run] = field(default_factory=list)

    async def generate(self, run: Run) -> AsyncGenerator[Progress]:
        self.runs.append(run)
        yield Progress(replica=self.name)

    def should_move(self, run: Run, replica: str, *, boundary: bool) -> bool:
        return self.leaves and boundary

    def offers(self, replica: str) -> bool:
        return replica == self.name and not self.gone

    def forecast(self, request: Request) -> Forecast | None:
        return None if self.wait is None else Forecast(self.wait, 1.0)

    async def ready(self) -> bool:
        return self.is_ready


def sizes(least: int, most: int) -> CanvasSizes:
    return CanvasSizes(least=least, most=most)


def member(replicas: Replicas, canvas: CanvasSizes | None = None, **config: Any) -> Member:
    return Member.of(PoolConfig(name=replicas.name, canvas=canvas, **config), replicas)


def pool_set(*members: Member, **facts: Any) -> PoolSet:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    slept: list[float] = []
    return PoolSet(spec(**facts), members, STEAL_SECONDS, clock=lambda: 0.0, sleep=sleep)


def by_size(small: Replicas, large: Replicas) -> PoolSet:
    return pool_set(member(large, sizes(9, 128)), member(small, sizes(1, 16)))


def request(max_tokens: int, canvas: int | None = 32, **others: Any) -> Request:
    return Request("a", prompt=PROMPT, max_tokens=max_tokens, canvas_length=canvas, **others)


async def last_run(pools: PoolSet, run: Run, *replicas: Replicas) -> tuple[str, Run]:
    """Who ran it, and as which run."""
    (progress,) = [message async for message in pools.generate(run)]
    pool = next(pool for pool in replicas if pool.name == progress.replica)
    return progress.replica, pool.runs[-1]


@pytest.mark.parametrize(
    ("asked", "committed", "left"),
    [
        (request(100), 0, 32),
        (request(100), 95, 32),
        (request(100), 96, 4),
        (request(100), 99, 4),
        (request(20), 0, 20),
        (request(64), 32, 32),
        (request(64), 63, 32),
        (Request("a", prompt=PROMPT, template=(None,) * 40), 0, 40),
        (Request("a", prompt=PROMPT, template=(None,) * 40), 12, 40),
    ],
)
def test_the_longest_canvas_left(asked: Request, committed: int, left: int) -> None:
    assert longest_canvas_left(asked, spec(), committed) == left


@settings(deadline=None)
@given(
    prompt=st.integers(0, 40),
    tokens=st.integers(1, 150),
    canvas=st.integers(1, 64),
    share=st.floats(0, 1),
    anchor=st.sampled_from(["zero", "prompt"]),
)
def test_no_canvas_that_is_left_is_longer(prompt: int, tokens: int, canvas: int, share: float, anchor: str) -> None:
    facts = spec(canvas_anchor=anchor)
    asked = Request("a", prompt=(5,) * prompt, max_tokens=tokens, canvas_length=canvas)
    committed = int(share * (tokens - 1))
    start, left = first_start(asked, facts), []
    while start <= last_start(asked, facts):
        end = canvas_end(asked, facts, start)
        left += [end - start] if end > prompt + committed else []
        start = end
    assert longest_canvas_left(asked, facts, committed) == max(left)


async def test_a_run_goes_where_its_canvases_are_served() -> None:
    small, large = Replicas("small"), Replicas("large")
    pools = by_size(small, large)
    assert (await last_run(pools, Run(request(100)), small, large))[0] == "large"
    assert (await last_run(pools, Run(request(100), committed=96), small, large))[0] == "small"
    assert (await last_run(pools, Run(request(5)), small, large))[0] == "small"
    assert (await last_run(pools, Run(request(12)), small, large))[0] == "small"


@pytest.mark.parametrize(
    ("tokens", "committed", "parks"), [(100, 0, 96), (100, 40, 96), (64, 0, None), (30, 0, None), (84, 64, None)]
)
async def test_the_last_short_canvas_is_planned_to_run_elsewhere(
    tokens: int, committed: int, parks: int | None
) -> None:
    small, large = Replicas("small"), Replicas("large")
    _, run = await last_run(by_size(small, large), Run(request(tokens), committed=committed), small, large)
    assert run.park_after == parks


async def test_the_smaller_class_is_left_for_a_wait_that_is_much_shorter() -> None:
    small, large = Replicas("small", wait=2.5), Replicas("large", wait=1.0)
    assert (await last_run(by_size(small, large), Run(request(12)), small, large))[0] == "small"
    small.wait = 3.5
    who, run = await last_run(by_size(small, large), Run(request(12)), small, large)
    assert (who, run.park_after) == ("large", None)


async def test_a_canvas_that_no_pool_serves_has_no_replica() -> None:
    small = Replicas("small")
    with pytest.raises(NoReplica):
        [message async for message in pool_set(member(small, sizes(1, 16))).generate(Run(request(100)))]


def test_the_phase_is_that_of_most_of_the_next_work() -> None:
    long = Request("a", prompt=(5,) * 250, max_tokens=6, canvas_length=6)
    assert nearest_phase(long, spec(max_position=512), 0) == "refresh"
    assert nearest_phase(request(32), spec(), 0) == "reuse"
    assert nearest_phase(request(32), spec(**BIDIRECTIONAL), 0) == "refresh"
    cached = request(32, cache=CacheParameters("dual"))
    assert nearest_phase(cached, spec(**BIDIRECTIONAL), 0) == "reuse"


async def test_a_run_prefers_the_pool_of_its_phase() -> None:
    refresh, reuse = Replicas("refresh"), Replicas("reuse")
    pools = pool_set(member(refresh, phase="refresh"), member(reuse, phase="reuse"), max_position=512)
    long = Request("a", prompt=(5,) * 250, max_tokens=6, canvas_length=6)
    assert (await last_run(pools, Run(long), refresh, reuse))[0] == "refresh"
    assert (await last_run(pools, Run(request(32)), refresh, reuse))[0] == "reuse"


def test_a_replica_that_is_not_offered_is_left_at_once() -> None:
    small, large = Replicas("small"), Replicas("large", gone=True)
    assert by_size(small, large).should_move(Run(request(100)), "large", boundary=False)
    large.gone = False
    assert not by_size(small, large).should_move(Run(request(100)), "large", boundary=False)


def test_between_canvases_a_run_moves_to_a_much_less_busy_place() -> None:
    one, other = Replicas("one", wait=5.0), Replicas("other", wait=2.5)
    pools = pool_set(member(one), member(other))
    assert pools.should_move(Run(request(100)), "one", boundary=True)
    assert not pools.should_move(Run(request(100)), "one", boundary=False)
    assert not pools.should_move(Run(request(100)), "other", boundary=True)
    other.wait = 3.5
    assert not pools.should_move(Run(request(100)), "one", boundary=True)
    one.leaves = True
    assert pools.should_move(Run(request(100)), "one", boundary=True)


def test_a_run_does_not_move_to_where_its_canvas_is_not_served() -> None:
    small, large = Replicas("small", wait=0.0), Replicas("large", wait=60.0)
    assert not by_size(small, large).should_move(Run(request(100)), "large", boundary=True)
    assert by_size(small, large).should_move(Run(request(100), committed=96), "large", boundary=True)


async def test_repeated_runs_wait_when_the_budget_is_spent() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    replicas = Replicas("only")
    pools = PoolSet(
        spec(), [member(replicas, max_running=1, max_waiting=1)], STEAL_SECONDS, clock=lambda: 0.0, sleep=sleep
    )
    repeated = Run(request(10), epoch=2, avoid=("dead",))
    for run in (repeated, repeated, repeated, replace(repeated, avoid=())):
        [message async for message in pools.generate(run)]
    assert slept == [5.0]
    assert len(replicas.runs) == 4


def test_the_forecast_is_that_of_the_pool_where_a_request_begins() -> None:
    small, large = Replicas("small", wait=1.0), Replicas("large", wait=2.0)
    assert by_size(small, large).forecast(request(100)) == Forecast(2.0, 1.0)
    assert by_size(small, large).forecast(request(5)) == Forecast(1.0, 1.0)


@pytest.mark.parametrize(("small", "large", "ready"), [(True, False, True), (False, False, False)])
async def test_the_set_is_ready_when_a_pool_is(small: bool, large: bool, ready: bool) -> None:
    pools = by_size(Replicas("small", is_ready=small), Replicas("large", is_ready=large))
    assert await pools.ready() is ready


def test_pools_of_the_same_sizes_are_one_class() -> None:
    small, more, large = member(Replicas("a"), sizes(1, 16)), member(Replicas("b"), sizes(1, 16)), member(Replicas("c"))
    pools = pool_set(large, small, more)
    assert pools.canvas_classes == ("every", "1-16")
    assert [pools.canvas_class(request(length, length)) for length in (16, 17)] == ["1-16", "every"]


def test_a_class_has_the_places_of_its_replicas_and_a_few_more() -> None:
    pair, none = Replicas("a", replicas=2), Replicas("b", replicas=0)
    pools = pool_set(member(pair, sizes(1, 16), max_running=16), member(none, sizes(1, 16), max_running=4))
    assert pools.places("1-16") == 2 * (16 + 2) + (4 + 1)


def test_a_canvas_that_no_pool_serves_has_no_class() -> None:
    with pytest.raises(NoReplica):
        pool_set(member(Replicas("a"), sizes(1, 16))).canvas_class(request(32))


async def test_a_pool_that_sleeps_has_no_place_and_is_not_chosen_while_another_is_awake() -> None:
    cheap, dear = Replicas("cheap", asleep=True, replicas=0), Replicas("dear", wait=60.0)
    pools = pool_set(member(cheap), member(dear))
    assert pools.places(pools.canvas_class(request(20))) == member(dear).places
    assert (await last_run(pools, Run(request(20)), cheap, dear))[0] == "dear"
    dear.asleep, dear.replicas = True, 0
    assert pools.places(pools.canvas_class(request(20))) == 0
    assert (await last_run(pools, Run(request(20)), cheap, dear))[0] == "cheap", "a run that comes all the same waits"
    cheap.asleep, cheap.replicas = False, 1
    assert pools.places(pools.canvas_class(request(20))) == member(cheap).places > 0


def test_the_class_of_a_request_does_not_depend_on_who_sleeps() -> None:
    small, large = Replicas("small"), Replicas("large")
    pools = by_size(small, large)
    before = pools.canvas_class(request(10, 10))
    small.asleep = True
    assert pools.canvas_class(request(10, 10)) == before == "1-16"


def test_no_run_leaves_its_place_for_a_pool_that_sleeps() -> None:
    here, there = Replicas("here", wait=100.0), Replicas("there", asleep=True)
    assert not pool_set(member(here), member(there)).should_move(Run(request(20)), "here", boundary=True)
