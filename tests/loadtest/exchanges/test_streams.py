from __future__ import annotations

import json
from dataclasses import replace

import httpx
import pytest

from tests.loadtest.cases import ARRIVAL
from tests.loadtest.exchanges.doubles import Json, ask, chunk, error, stream, whole

CHAT = "POST /v1/chat/completions"


def test_a_stream_is_measured_commit_by_commit_from_its_intended_start() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return stream([chunk(""), *whole("de", "f ", "f")], headers={"x-dllm-queue-ms": "250"})

    sample = ask(ARRIVAL, {CHAT: answer})
    assert (sample.outcome, sample.due, sample.late) == ("ok", 10.0, 0.0)
    assert (sample.first_commit, sample.gaps, sample.seconds) == (1 / 16, (1 / 16, 1 / 16), 4 / 16)
    assert sample.queue_seconds == 0.25
    assert (sample.completion_tokens, sample.steps, sample.canvases, sample.position_forwards) == (4, 6, 1, 96)
    body = json.loads(seen[0].content)
    assert (body["model"], body["max_tokens"], body["seed"], body["service_tier"]) == ("tiny-code", 16, 7, "default")
    assert seen[0].headers["authorization"] == "Bearer a-key"


def test_a_request_that_was_sent_late_has_taken_longer() -> None:
    sample = ask(ARRIVAL, {CHAT: lambda _: stream(whole("de", "f"))}, late=2.0)
    assert (sample.late, sample.first_commit, sample.seconds) == (2.0, 2 + 1 / 16, 2 + 3 / 16)


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (stream([chunk("a")], done=False), "cut_off"),
        (stream([chunk("a")]), "no_finish_reason"),
        (stream([*whole("a"), chunk("b")]), "malformed"),
        (stream([chunk("a"), {"error": {"code": "replicas_lost", "message": "x"}}]), "replicas_lost"),
        (error(429, "queue_full"), "queue_full"),
        (httpx.Response(502, content=b"<html>"), "status_502"),
        (httpx.Response(200, stream=httpx.ByteStream(b"data: {\n\n")), "malformed"),
    ],
)
def test_what_is_wrong_with_a_stream_is_its_outcome(response: httpx.Response, outcome: str) -> None:
    sample = ask(ARRIVAL, {CHAT: lambda _: response})
    assert sample.outcome == outcome
    assert sample.is_refused is (outcome == "queue_full")


def test_a_connection_that_is_lost_is_an_outcome() -> None:
    def lose(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone")

    assert ask(ARRIVAL, lose).outcome == "connection_lost"


@pytest.mark.parametrize(("stored", "outcome"), [(whole("de", "f"), "ok"), (whole("de"), "mismatch")])
def test_a_stored_stream_has_to_say_the_same_again(stored: list[Json], outcome: str) -> None:
    answers = {
        CHAT: lambda _: stream(whole("d", "ef")),
        "GET /v1/requests/chatcmpl-1/stream": lambda _: stream(stored),
    }
    sample = ask(replace(ARRIVAL, kind="stored_stream"), answers)
    # It was over when it had come, and not when it had been read again.
    assert (sample.outcome, sample.seconds) == (outcome, 3 / 16)


def view(*edits: tuple[int, str | None]) -> Json:
    patch = [{"pos": position, "text": text} for position, text in edits]
    return chunk(diffusion={"block": 0, "start": 0, "length": 3, "edits": patch})


def test_stability_is_the_share_of_shown_characters_that_stayed() -> None:
    views = [view((0, "ab"), (1, "x")), view((1, None)), view((1, "y"))]
    sample = ask(replace(ARRIVAL, kind="canvas_stream"), {CHAT: lambda _: stream([*views, *whole("aby")])})
    # Shown are "abx", "ab" and "aby", and the x did not stay.
    assert (sample.outcome, sample.shown, sample.survived) == ("ok", 8, 7)


@pytest.mark.parametrize(("deadline", "outcome"), [(1.0, "ok"), (0.01, "deadline_missed")])
def test_an_answer_behind_its_deadline_has_failed(deadline: float, outcome: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert 0 < int(request.headers["x-dllm-deadline-ms"]) <= 1000 * deadline
        return stream(whole(*"abcdefgh"))

    assert ask(replace(ARRIVAL, kind="chat_stream"), {CHAT: answer}, deadline).outcome == outcome
