"""The engine's invariants on the shipped models: the same in any batch, pinned stays, steps are bounded, no leaks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.checkpoint import resolve_checkpoint
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import Commit, Draft, Event, Finish, Request, SamplingParameters
from dllm_worker.text import Text
from tests.dllm_worker.requests import in_any_company

BOARD = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
RULES = (
    SamplingParameters(algorithm="low_confidence", max_steps=12, schedule="cosine"),
    SamplingParameters(algorithm="random", max_steps=6, temperature=0.9, top_p=0.9, seed=5),
    SamplingParameters(threshold=0.6, temperature=0.7, seed=3),
    SamplingParameters(algorithm="entropy_bound", entropy_bound=0.5, entropy_exit=0.02),
)


@pytest.fixture(scope="module")
def code() -> tuple[LoadedModel, Text]:
    path = resolve_checkpoint("embedded:tiny-code")
    return load_model(path), Text.load(path)


@pytest.fixture(scope="module")
def sudoku() -> LoadedModel:
    return load_model(resolve_checkpoint("embedded:tiny-sudoku"))


def run(model: LoadedModel, requests: Sequence[Request]) -> dict[str, list[Event]]:
    """Every request's events; the engine is checked after each step and ends empty."""
    engine = Engine(model, EngineLimits(position_budget=256))
    events: dict[str, list[Event]] = {request.id: [] for request in requests}
    for request in requests:
        engine.add(request)
    while engine.has_work:
        for event in engine.step():
            events[event.request_id].append(event)
        engine.check_integrity()
    assert engine.stats().free_pages == engine.stats().pages
    return events


def check(requests: Sequence[Request], events: dict[str, list[Event]]) -> None:
    """Pinned tokens come back, committed text is never taken back, and every canvas keeps its step bound."""
    for request in requests:
        told = events[request.id]
        answer = [token for event in told if isinstance(event, Commit) for token in event.tokens]
        if request.template is not None:
            assert all(cell in (None, token) for cell, token in zip(request.template, answer, strict=True))
        for draft in (event for event in told if isinstance(event, Draft)):
            assert draft.step <= (request.sampling.max_steps or len(draft.tokens))
        assert isinstance(told[-1], Finish)
        assert told[-1].usage.denoising_steps > 0


def code_requests(text: Text) -> list[Request]:
    prompt = tuple(text.begin() + text.encode("import os\n\n\ndef read(path):\n"))
    suffix = text.encode("\n    return rows\n")
    requests = [
        Request(f"continue-{i}", prompt, max_tokens=20 + 25 * i, sampling=rule, drafts=True)
        for i, rule in enumerate(RULES)
    ]
    return [
        *requests,
        Request("infill", prompt, template=(*[None] * 12, *suffix), sampling=RULES[2], drafts=True),
        Request("small-canvas", prompt, max_tokens=30, canvas_length=8, sampling=RULES[0], drafts=True),
    ]


def sudoku_requests() -> list[Request]:
    board = tuple(None if cell == "." else int(cell) - 1 for cell in BOARD)
    boards = (board, (None,) * 81, (*board[:40], *[None] * 41))
    return [
        Request(f"{i}-{j}", template=cells, sampling=rule, drafts=True)
        for i, cells in enumerate(boards)
        for j, rule in enumerate(RULES)
    ]


def test_tiny_code_gives_the_same_alone_and_in_a_mix(code: tuple[LoadedModel, Text]) -> None:
    model, text = code
    requests = code_requests(text)
    together = run(model, requests)
    check(requests, together)
    for request in requests:
        alone = run(model, [request])[request.id]
        assert in_any_company(alone) == in_any_company(together[request.id])


def test_tiny_sudoku_gives_the_same_alone_and_in_a_mix(sudoku: LoadedModel) -> None:
    requests = sudoku_requests()
    together = run(sudoku, requests)
    check(requests, together)
    for request in requests:
        assert run(sudoku, [request])[request.id] == together[request.id]
