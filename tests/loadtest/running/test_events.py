from __future__ import annotations

from typing import Any

from loadtest.running.events import figures, fire
from tests.loadtest.cases import sample


class Recorder:
    def __init__(self) -> None:
        self.fired: list[dict[str, Any]] = []

    def fire(self, **fields: Any) -> None:
        self.fired.append(fields)


def test_each_figure_is_an_event_of_its_own() -> None:
    assert list(figures(sample(queue_seconds=0.5))) == [
        ("E2E", 1000.0),
        ("TTFC", 250.0),
        ("IBL", 250.0),
        ("IBL", 500.0),
        ("QUEUE", 500.0),
        ("TPF", 2.0),
        ("STEPS", 4.0),
        ("TPS", 10.0),
    ]


def test_a_failure_is_told_once_and_with_its_outcome() -> None:
    recorder = Recorder()
    fire(recorder, sample(outcome="mismatch", detail="12 of 14"))
    [event] = recorder.fired
    assert (event["request_type"], event["name"]) == ("E2E", "chat_stream acme")
    assert event["exception"].outcome == "mismatch"


def test_clients_that_take_their_time_have_no_latencies() -> None:
    assert [name for name, _ in figures(sample(kind="slow_reader"))] == ["E2E"]
