"""Which replica is chosen, and how it is explained."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from deployments.routing.choice import SCORED, Choice, choose
from deployments.routing.score import ReplicaView, reference_rate, score
from deployments.routing.work import Demand

DEMAND = Demand("run 1", work=100)


def seen(name: str, backlog: float = 0, **more: object) -> ReplicaView:
    """A replica that was heard of just now."""
    return ReplicaView(name, backlog, **{"rate": 100.0, "observed_at": 0.0, **more})  # type: ignore[arg-type]


def chosen(views: list[ReplicaView], demand: Demand = DEMAND, seed: int = 0) -> Choice:
    return choose(views, demand, -5.0, Random(seed))


VIEWS = st.lists(
    st.builds(
        ReplicaView,
        name=st.uuids().map(str),
        backlog=st.integers(0, 5000),
        rate=st.sampled_from((0.0, 100.0, 150.0)),
        full=st.booleans(),
        refresh_due=st.tuples(st.integers(0, 400), st.integers(0, 400)),
        prefixes=st.frozensets(st.integers(1, 3)),
        observed_at=st.just(0.0),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda view: view.name,
)
DEMANDS = st.builds(
    Demand,
    key=st.just("x"),
    work=st.just(1000),
    refresh=st.tuples(st.integers(0, 400), st.integers(0, 100)),
    pages=st.sampled_from(((), (1, 2, 3))),
    page_size=st.just(32),
)


@given(VIEWS, DEMANDS, st.integers(0, 9))
def test_no_replica_is_better_than_the_chosen_one(views: list[ReplicaView], demand: Demand, seed: int) -> None:
    choice = choose(views, demand, -5.0, Random(seed))
    reference = reference_rate(views)
    best = min((score(view, demand, reference) for view in views), key=lambda terms: terms.total)
    terms = choice.candidates[0].score
    assert terms is not None
    assert terms.total <= best.total + max(1e-3, 0.02 * best.wait) + 1e-9


def test_the_shorter_wait_wins() -> None:
    choice = chosen([seen("a", 500), seen("b", 100), seen("c", 900)])
    assert (choice.replica, choice.rule) == ("b", "score")
    assert choice.ranking[0] == "b"


def test_of_two_that_are_as_good_as_equal_the_one_with_fewer_runs_wins() -> None:
    choice = chosen([seen("a", 100, in_flight=3), seen("b", 101, in_flight=1)])
    assert (choice.replica, choice.rule) == ("b", "two choices")


def test_equals_share_the_runs() -> None:
    views = [seen(name) for name in "abcd"]
    assert {chosen(views, seed=seed).replica for seed in range(40)} == set("abcd")


def test_a_cached_prefix_outweighs_a_little_wait_and_no_more() -> None:
    demand = Demand("x", work=500, refresh=(320,), pages=tuple(range(10)), page_size=32)
    holder = frozenset((9,))
    assert chosen([seen("holder", 300, prefixes=holder), seen("idle")], demand).replica == "holder"
    assert chosen([seen("holder", 400, prefixes=holder), seen("idle")], demand).replica == "idle"


def test_one_to_avoid_is_chosen_only_where_there_is_no_other() -> None:
    demand = Demand("x", work=10, avoid=("a",))
    assert chosen([seen("a"), seen("b", 90_000)], demand).ranking == ("b",)
    assert chosen([seen("a")], demand).ranking == ("a",)


def test_without_recent_figures_of_any_the_fewer_runs_of_two_at_random_decide() -> None:
    views = [seen("a", 0, in_flight=9, observed_at=-6.0), seen("b", 9000, in_flight=1, observed_at=None)]
    choice = chosen(views)
    assert (choice.replica, choice.rule, choice.stale) == ("b", "stale", True)
    assert {chosen([seen(name, observed_at=-6.0) for name in "abcd"], seed=seed).replica for seed in range(40)} == set(
        "abcd"
    )


def test_recent_figures_of_one_replica_are_enough_to_score_all() -> None:
    choice = chosen([seen("a", 500), seen("b", 900, observed_at=-60.0), seen("c", 10, observed_at=None)])
    assert (choice.replica, choice.stale) == ("c", False)


def test_runs_of_one_affinity_go_to_one_replica_wherever_the_wait_is_much_the_same() -> None:
    views = [seen(name, 20) for name in "abcdef"]
    homes = {
        affinity: {
            chosen(views, Demand("x", work=100, refresh=(90,), affinity=affinity), seed).replica for seed in range(9)
        }
        for affinity in map(str, range(20))
    }
    assert all(len(replicas) == 1 for replicas in homes.values())
    assert len(set.union(*homes.values())) > 1


def test_an_overloaded_home_moves_the_runs_of_its_affinities_and_no_others() -> None:
    def home(affinity: str, loaded: str) -> str:
        views = [seen(name, 5000 if name == loaded else 0) for name in "abcdef"]
        return chosen(views, Demand("x", work=100, refresh=(90,), affinity=affinity)).replica

    for affinity in map(str, range(20)):
        first = home(affinity, loaded="")
        assert home(affinity, loaded=first) != first
        assert all(home(affinity, loaded=other) == first for other in "abcdef" if other != first)


def test_among_many_replicas_the_best_holder_and_the_least_waits_are_scored() -> None:
    demand = Demand("x", work=500, refresh=(3200,), pages=tuple(range(100)), page_size=32)
    views = [seen(f"{number}", 100 + number) for number in range(1000)]
    views[700] = seen("holder", 800, prefixes=frozenset((99,)))
    choice = chosen(views, demand)
    assert choice.replica == "holder"
    assert "0" in choice.ranking
    assert len(choice.ranking) <= 2 * SCORED + 1


def test_a_choice_explains_itself() -> None:
    demand = Demand("run 1", work=500, refresh=(50,), pages=(4,), page_size=32)
    choice = chosen([seen("a", 100, refresh_due=(20,)), seen("b", 30, in_flight=2, prefixes=frozenset((4,)))], demand)
    assert choice.explain() == (
        "run 1 -> b by score: b -20.0 ms = wait 300.0 + bunching 0.0 - locality 320.0; "
        "a 1200.0 ms = wait 1000.0 + bunching 200.0 - locality 0.0"
    )


def test_a_choice_without_figures_explains_itself() -> None:
    choice = chosen([seen("a", in_flight=3, observed_at=None)])
    assert choice.explain() == "run 1 -> a by stale: a has 3 in flight"
