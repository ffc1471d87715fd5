from __future__ import annotations

from deployments.tenancy.recent import Recent


def test_of_more_than_it_holds_the_least_recently_used_go() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.keep("a", 1)
    recent.keep("b", 2)
    assert recent.find("a") == 1
    recent.keep("c", 3)
    assert dict(recent) == {"a": 1, "c": 3}
    recent.keep("a", 4)
    recent.keep("d", 5)
    assert dict(recent) == {"a": 4, "d": 5}
    assert recent.find("b") is None
