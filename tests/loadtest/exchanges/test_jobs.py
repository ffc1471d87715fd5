from __future__ import annotations

import json
from dataclasses import replace

import httpx
import pytest

from loadtest.exchanges import jobs
from tests.loadtest.cases import ARRIVAL
from tests.loadtest.exchanges.doubles import Handler, ask

POLLED, RESUMED = replace(ARRIVAL, kind="job", number=2), replace(ARRIVAL, kind="job", number=3)
USAGE = {"input_tokens": 5, "output_tokens": 3, "diffusion": {"denoising_steps": 2, "forward_passes": 2}}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "sleep", lambda seconds: None)


def response(status: str, text: str = "") -> httpx.Response:
    output = [{"content": [{"text": text}]}]
    return httpx.Response(200, json={"id": "resp-1", "status": status, "output": output, "usage": USAGE, "error": None})


def cluster(*states: httpx.Response, deltas: str = "") -> Handler:
    """Told by its stream and, once that has been read, by its state."""
    left = list(states)
    events = [("response.created", ""), *(("response.output_text.delta", each) for each in deltas)]
    events.append(("response.completed", ""))

    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            assert json.loads(request.content)["background"] is True
            return response("queued")
        if "stream" not in request.url.params:
            return left.pop(0)
        after = int(request.url.params.get("starting_after", -1))
        frames = [
            f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': number, 'delta': text})}\n\n"
            for number, (kind, text) in enumerate(events)
            if number > after
        ]
        return httpx.Response(200, stream=httpx.ByteStream("".join(frames).encode()))

    return handle


def test_a_job_is_polled_until_it_is_over() -> None:
    sample = ask(POLLED, cluster(response("queued"), response("in_progress"), response("completed", "abc")))
    assert (sample.outcome, sample.completion_tokens, sample.first_commit) == ("ok", 3, None)


def test_a_job_is_resumed_where_its_stream_was_cut_off() -> None:
    sample = ask(RESUMED, cluster(response("incomplete", "abcdef"), deltas="abcdef"))
    assert (sample.outcome, len(sample.gaps)) == ("ok", 5)


def test_a_job_whose_stream_told_something_else_has_failed() -> None:
    assert ask(RESUMED, cluster(response("completed", "abcxef"), deltas="abcdef")).outcome == "mismatch"


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_job_that_failed_has_failed(status: str) -> None:
    assert ask(POLLED, cluster(response(status))).outcome == status
