"""Objects followed through everything that ends a watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from cluster.kubernetes.client import Selection
from cluster.kubernetes.errors import Refused
from cluster.kubernetes.objects import Object
from cluster.kubernetes.resources import PODS
from cluster.kubernetes.watching import follow
from tests.cluster.kubernetes import things
from tests.cluster.kubernetes.api_server import ApiServer, Instruction

TICK = 20.0


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with things.kubernetes_server() as server:
        server.put(things.bare_pod("a"))
        yield server


class Followed:
    """A following whose waits take no time."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.waits: list[float] = []
        selection = Selection(PODS, things.NAMESPACE)
        self._views: Iterator[Mapping[str, Object]] = follow(
            things.reached(server), selection, TICK, sleep=self.waits.append, draw=lambda: 0.0
        )

    def names(self) -> list[str]:
        return sorted(next(self._views))

    def after(self, act: Callable[[], object]) -> list[str]:
        """What is seen next when something was done while the watch is open."""
        act()
        return self.names()

    def until_it_ends(self) -> None:
        for _ in self._views:
            pass

    @property
    def lists(self) -> int:
        return sum(asked.verb == "list" for asked in self.server.requests.arrived)

    @property
    def watches(self) -> int:
        return sum(asked.verb == "watch" for asked in self.server.requests.arrived)


def test_objects_are_seen_at_once_and_after_each_change(server: ApiServer) -> None:
    followed = Followed(server)
    assert followed.names() == ["a"]
    assert followed.after(lambda: server.put(things.bare_pod("b"))) == ["a", "b"]
    assert followed.after(lambda: server.remove("Pod", "a", things.NAMESPACE)) == ["b"]
    assert (followed.lists, followed.watches, followed.waits) == (1, 1, [])


@pytest.mark.parametrize("ending", [Instruction.END, Instruction.CUT])
def test_a_watch_that_ends_goes_on_where_it_was(server: ApiServer, ending: Instruction) -> None:
    followed = Followed(server)
    followed.names()
    assert followed.after(lambda: server.put(things.bare_pod("b"))) == ["a", "b"]
    server.watches.await_open("pods", 1)
    server.watches.instruct(ending)
    server.watches.await_open("pods", 0)
    if ending is Instruction.END:
        assert followed.names() == ["a", "b"]
    assert followed.after(lambda: server.put(things.bare_pod("c"))) == ["a", "b", "c"]
    assert (followed.lists, followed.watches) == (1, 2)


def test_a_history_that_is_gone_is_listed_anew(server: ApiServer) -> None:
    followed = Followed(server)
    followed.names()
    assert followed.after(lambda: server.put(things.bare_pod("b"))) == ["a", "b"]
    server.watches.await_open("pods", 1)
    server.put(things.bare_pod("c"))
    assert followed.names() == ["a", "b", "c"]
    server.watches.instruct(Instruction.EXPIRE)
    server.remove("Pod", "a", things.NAMESPACE)
    while followed.lists == 1:
        seen = followed.names()
    assert seen == ["b", "c"]
    assert followed.after(lambda: server.put(things.bare_pod("d"))) == ["b", "c", "d"]


def test_breaks_in_a_row_are_waited_out_longer_and_longer(server: ApiServer) -> None:
    followed = Followed(server)
    followed.names()
    server.refuse(503, "watch", "pods", times=3)
    server.drop("watch", "pods")
    assert followed.after(lambda: server.put(things.bare_pod("b"))) == ["a", "b"]
    assert followed.waits == [0.5, 1.0, 2.0, 4.0]


def test_a_watch_that_tells_something_ends_the_row(server: ApiServer) -> None:
    followed = Followed(server)
    followed.names()
    for name in "bc":
        server.refuse(503, "watch", "pods")
        server.put(things.bare_pod(name))
        assert name in followed.names()
        server.watches.await_open("pods", 1)
        server.watches.instruct(Instruction.CUT)
        server.watches.await_open("pods", 0)
    server.put(things.bare_pod("d"))
    assert "d" in followed.names()
    assert followed.waits == [0.5, 0.5, 1.0, 0.5]


def test_retry_after_is_kept_to(server: ApiServer) -> None:
    followed = Followed(server)
    followed.names()
    server.refuse(429, "watch", "pods", retry_after=9)
    assert followed.after(lambda: server.put(things.bare_pod("b"))) == ["a", "b"]
    assert followed.waits == [9.0]


@pytest.mark.parametrize(("code", "times"), [(403, 1), (503, 99), (410, 99)])
def test_what_does_not_pass_ends_the_following(server: ApiServer, code: int, times: int) -> None:
    followed = Followed(server)
    followed.names()
    server.refuse(code, "watch", "pods", times=times)
    with pytest.raises(Refused) as caught:
        followed.until_it_ends()
    assert caught.value.status == code
    assert len(followed.waits) == (0 if code == 403 else 8)
