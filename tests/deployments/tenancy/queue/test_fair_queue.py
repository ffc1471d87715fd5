"""Who goes next, in cases that can be counted by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest

from deployments.errors import DeadlineExceeded, QueueFull
from deployments.tenancy.queue.fair_queue import PATIENCE_SECONDS, VirtualCounterQueue
from deployments.tenancy.queue.queue import Waiting
from tests.deployments.tenancy.queue.requests import waiting


def served(queue: VirtualCounterQueue, turns: int, now: float = 0.0) -> list[Waiting]:
    """The next ones, each of which ends before the one behind it begins."""
    order = []
    for _ in range(turns):
        (request,) = queue.dispatch(queue.running + 1, now).given
        queue.end(request.id, request.work)
        order.append(request)
    return order


def filled(backlog: Mapping[str, Waiting], count: int) -> VirtualCounterQueue:
    """So many requests of each tenant."""
    queue = VirtualCounterQueue()
    for tenant, request in backlog.items():
        for number in range(count):
            queue.enter(replace(request, id=f"{tenant} {number}", tenant=tenant), 0.0)
    return queue


def work_of(order: list[Waiting]) -> Counter[str]:
    work = Counter[str]()
    for request in order:
        work[request.tenant] += request.work
    return work


def test_weights_of_one_and_three_give_one_and_three() -> None:
    queue = filled({"acme": waiting(work=7, weight=1.0), "rival": waiting(work=4, weight=3.0)}, 1000)
    work = work_of(served(queue, 1000))
    assert work["rival"] / work["acme"] == pytest.approx(3.0, rel=0.05)


def test_ten_times_the_requests_gain_nothing() -> None:
    queue = filled({"quiet": waiting()}, 100)
    for number in range(1000):
        queue.enter(waiting("loud", id=f"loud {number}"), 0.0)
    work = work_of(served(queue, 200))
    assert work["quiet"] == work["loud"]


def test_requests_that_end_early_cost_what_they_spent() -> None:
    queue = filled({"acme": waiting(work=8), "rival": waiting(work=8)}, 400)
    spent = Counter[str]()
    for _ in range(400):
        (request,) = queue.dispatch(1, 0.0).given
        cost = 2 if request.tenant == "acme" else 8
        queue.end(request.id, cost)
        spent[request.tenant] += cost
    assert spent["acme"] == pytest.approx(spent["rival"], abs=16)


def test_having_been_idle_is_worth_nothing() -> None:
    queue = filled({"acme": waiting(work=10)}, 50)
    served(queue, 30)
    for number in range(20):
        queue.enter(waiting("late", 10, id=f"late {number}"), 0.0)
    assert work_of(served(queue, 20)) == {"acme": 100, "late": 100}


def test_leaving_and_coming_back_sheds_no_debt() -> None:
    queue = filled({"acme": waiting(work=10)}, 2)
    queue.enter(waiting("rival", 100, id="long"), 0.0)
    assert [request.tenant for request in served(queue, 2)] == ["acme", "rival"]
    queue.enter(waiting("rival", 10, id="again"), 0.0)
    queue.enter(waiting("acme", 10, id="more"), 0.0)
    assert [request.id for request in served(queue, 3)] == ["acme 1", "more", "again"]


def test_flex_requests_wait_for_all_others_and_are_charged_among_themselves() -> None:
    queue = filled({"acme": waiting(work=5, band="flex"), "rival": waiting(work=5, band="flex")}, 4)
    queue.enter(waiting("acme", 5, id="usual"), 0.0)
    order = served(queue, 5)
    assert order[0].id == "usual"
    assert work_of(order[1:]) == {"acme": 10, "rival": 10}
    queue.enter(waiting("rival", 5, id="now"), 0.0)
    assert served(queue, 1)[0].id == "now"


def test_one_without_a_deadline_is_due_after_a_while() -> None:
    queue = VirtualCounterQueue()
    for id, at, deadline in (
        ("later", 0.0, PATIENCE_SECONDS + 5.0),
        ("patient", 1.0, None),
        ("sooner", 2.0, PATIENCE_SECONDS - 5.0),
    ):
        queue.enter(waiting(id=id, deadline=deadline), at)
    assert [request.id for request in served(queue, 3, 2.0)] == ["sooner", "patient", "later"]


def test_a_deadline_that_has_come_takes_no_place() -> None:
    queue = VirtualCounterQueue()
    queue.enter(waiting(id="late", deadline=5.0), 0.0)
    queue.enter(waiting(id="next"), 0.0)
    turns = queue.dispatch(1, 5.0)
    assert ([each.id for each in turns.given], [each.id for each in turns.late]) == (["next"], ["late"])
    with pytest.raises(DeadlineExceeded):
        queue.enter(waiting(deadline=5.0), 5.0)


def test_the_cap_is_each_tenants_own() -> None:
    queue = filled({"acme": waiting(cap=2), "rival": waiting(cap=2)}, 2)
    with pytest.raises(QueueFull):
        queue.enter(waiting("acme", band="flex", cap=2), 0.0)
    served(queue, 2)
    queue.enter(waiting("acme", cap=2), 0.0)


def test_what_cost_more_than_was_charged_is_not_charged_again() -> None:
    queue = VirtualCounterQueue()
    queue.enter(waiting(id="a", work=8), 0.0)
    queue.dispatch(1, 0.0)
    queue.end("a", 99)
    assert queue.lanes[0].counters == {"acme": 8.0}


def test_counters_that_mean_nothing_any_more_are_forgotten() -> None:
    queue = filled({f"tenant-{number}": waiting(work=1) for number in range(40)}, 1)
    served(queue, 40)
    for number in range(60):
        queue.enter(waiting("acme", 1, id=f"acme {number}"), 0.0)
    served(queue, 50)
    assert set(queue.lanes[0].counters) == {"acme"}


def test_integrity_is_checked() -> None:
    queue = filled({"acme": waiting()}, 2)
    queue.check_integrity()
    queue._queued["acme"] = 1
    with pytest.raises(RuntimeError, match="miscounted"):
        queue.check_integrity()
