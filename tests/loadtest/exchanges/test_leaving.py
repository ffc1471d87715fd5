from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from loadtest.exchanges import leaving
from tests.loadtest.cases import ARRIVAL
from tests.loadtest.exchanges.doubles import Handler, ask, chunk, stream, whole


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(leaving, "sleep", waited.append)
    return waited


def cluster(asked: list[str], *states: str) -> Handler:
    left = list(states)

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        if request.url.path == "/v1/chat/completions":
            return stream(chunk("a") for _ in range(99))
        return httpx.Response(200, json={"status": left.pop(0) if len(left) > 1 else left[0]})

    return handle


@pytest.mark.parametrize(("number", "says_so"), [(2, False), (3, True)])
def test_a_client_leaves_and_its_request_ends(number: int, says_so: bool) -> None:
    asked: list[str] = []
    states = ("cancelled",) if not says_so else ("cancelled", "running", "cancelled")
    sample = ask(replace(ARRIVAL, kind="cancelling", number=number), cluster(asked, *states))
    assert (sample.outcome, sample.gaps, sample.is_measured) == ("ok", (), False)
    assert ("POST /v1/requests/chatcmpl-1/cancel" in asked) is says_so


def test_a_request_that_runs_on_without_its_client_has_failed() -> None:
    sample = ask(replace(ARRIVAL, kind="cancelling", number=2), cluster([], "running"))
    assert sample.outcome == "not_cancelled"
    assert sample.seconds > leaving.REST_SECONDS


def test_a_slow_reader_reads_everything_slowly(pauses: list[float]) -> None:
    slow = replace(ARRIVAL, kind="slow_reader")
    assert ask(slow, lambda _: stream(whole("a", "b"))).outcome == "ok"
    assert pauses == [leaving.READ_PAUSE_SECONDS] * 4
    assert ask(slow, lambda _: stream([chunk("a")], done=False)).outcome == "cut_off"
