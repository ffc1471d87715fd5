"""The invariants of the engine on random models: progress, frozen positions, batch invariance, nothing left."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits, EngineLoad
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Commit, Draft, Finish, Request, RequestError, SamplingParameters
from dllm_worker.sampling.samplers import SAMPLERS
from tests.dllm_worker.conftest import EOS, MASK
from tests.dllm_worker.requests import QUICK, any_request, finish, in_any_company, mixes, run, sampling, text, tokens


@QUICK
@given(mixes)
def test_a_request_gives_the_same_tokens_alone_and_in_a_mix(tiny_model: LoadedModel, mix: tuple[Request, ...]) -> None:
    together = run(tiny_model, mix, EngineLimits(position_budget=64))
    for request in mix:
        alone = run(tiny_model, [request])[request.id]
        assert in_any_company(alone) == in_any_company(together[request.id])


@QUICK
@given(any_request("a"))
def test_committed_text_is_whole_ordered_and_never_changes(tiny_model: LoadedModel, request: Request) -> None:
    events = run(tiny_model, [request])["a"]
    commits = [event for event in events if isinstance(event, Commit)]
    assert [commit.start for commit in commits] == [
        sum(len(earlier.tokens) for earlier in commits[:i]) for i in range(len(commits))
    ]
    answer = text(events)
    usage = finish(events).usage
    assert MASK not in answer
    if request.template is None:
        assert len(answer) == usage.completion_tokens
        assert EOS not in answer
        assert finish(events).reason == ("length" if len(answer) == request.max_tokens else "stop")
    else:
        assert len(answer) == len(request.template)
        assert all(cell in (None, token) for cell, token in zip(request.template, answer, strict=True))


@QUICK
@given(any_request("a"))
def test_every_step_makes_progress_within_the_bound(tiny_model: LoadedModel, request: Request) -> None:
    events = run(tiny_model, [replace(request, drafts=True)])["a"]
    usage = finish(events).usage
    drafts = [event for event in events if isinstance(event, Draft)]
    for before, after in itertools.pairwise(drafts):
        if before.canvas == after.canvas:
            assert after.masked < before.masked
            accepted = [(b, a) for b, a in zip(before.tokens, after.tokens, strict=True) if b != MASK]
            assert all(b == a for b, a in accepted)
    bound = request.sampling.max_steps or 256
    if SAMPLERS[request.sampling.algorithm].bounded:
        assert usage.denoising_steps <= bound * usage.canvases
        assert max(draft.step for draft in drafts) <= bound


@QUICK
@given(any_request("a"))
def test_watching_the_canvas_changes_nothing(tiny_model: LoadedModel, request: Request) -> None:
    watched = run(tiny_model, [replace(request, drafts=True)])["a"]
    plain = run(tiny_model, [replace(request, drafts=False)])["a"]
    assert [event for event in watched if not isinstance(event, Draft)] == plain


def test_the_last_draft_of_a_canvas_is_what_it_commits(tiny_model: LoadedModel) -> None:
    request = Request("a", prompt=(5, 6, 7), template=(None,) * 6 + (9, None), drafts=True)
    events = run(tiny_model, [request])["a"]
    last = [event for event in events if isinstance(event, Draft)][-1]
    assert (last.start, last.masked) == (0, 0)
    assert list(last.tokens) == text(events)


def test_seeds_decide_at_a_temperature_and_not_without(tiny_model: LoadedModel) -> None:
    def answer(temperature: float, seed: int) -> list[int]:
        parameters = SamplingParameters(temperature=temperature, seed=seed)
        return text(run(tiny_model, [Request("a", (4, 5), max_tokens=24, sampling=parameters)])["a"])

    assert answer(1.0, 1) == answer(1.0, 1) != answer(1.0, 2)
    assert answer(0.0, 1) == answer(0.0, 2)


def test_abort_frees_everything_at_once(tiny_model: LoadedModel) -> None:
    engine = Engine(tiny_model, EngineLimits(max_running=1))
    engine.add(Request("runs", (5,) * 20, max_tokens=40))
    engine.add(Request("waits", (5,) * 20, max_tokens=40))
    engine.step()
    running, waiting = engine.abort("runs"), engine.abort("waits")
    assert running is not None
    assert waiting is not None
    assert (running.reason, running.usage.denoising_steps) == ("abort", 1)
    assert waiting.usage.position_forwards == 0
    assert engine.abort("unknown") is None
    assert not engine.has_work
    assert engine.stats().free_pages == engine.stats().pages
    engine.check_integrity()


def test_requests_join_and_leave_between_steps(tiny_model: LoadedModel) -> None:
    engine = Engine(tiny_model)
    engine.add(Request("long", (3, 4), max_tokens=32, sampling=SamplingParameters(threshold=1.0)))
    for _ in range(3):
        engine.step()
    short = Request("short", (9,), max_tokens=2, sampling=SamplingParameters(threshold=1.0))
    engine.add(short)
    finished = [event.request_id for _ in range(3) for event in engine.step() if isinstance(event, Finish)]
    assert finished == ["short"]
    assert engine.stats().running == 1


def test_a_request_that_does_not_fit_holds_up_nobody(tiny_model: LoadedModel) -> None:
    engine = Engine(tiny_model, EngineLimits(cache_positions=96))
    engine.add(Request("first", (5,) * 40, max_tokens=8))
    engine.add(Request("large", (5,) * 40, max_tokens=8))
    engine.add(Request("small", (5,) * 10, max_tokens=8))
    engine.step()
    assert [engine.admitted(name) for name in ("first", "large", "small")] == [True, False, True]
    while engine.has_work:
        engine.step()
    engine.check_integrity()


def test_what_can_never_run_is_refused(tiny_model: LoadedModel) -> None:
    engine = Engine(tiny_model, EngineLimits(cache_positions=32))
    with pytest.raises(RequestError, match="more cache"):
        engine.add(Request("a", (5,) * 100, max_tokens=8))
    engine.add(Request("b", (5,), max_tokens=8))
    with pytest.raises(RequestError, match="in use"):
        engine.add(Request("b", (5,), max_tokens=8))


@QUICK
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=30), mixes)
def test_nothing_is_left_after_any_history(
    tiny_model: LoadedModel, history: list[tuple[int, bool]], mix: tuple[Request, ...]
) -> None:
    """Adds and aborts in any order between steps; in the end no page, row or request remains."""
    engine = Engine(tiny_model, EngineLimits(max_running=2, cache_positions=128, position_budget=24))
    here: set[str] = set()
    for which, join in history:
        request = mix[which]
        if join and request.id not in here:
            engine.add(request)
            here.add(request.id)
        elif not join:
            engine.abort(request.id)
            here.discard(request.id)
        here -= {event.request_id for event in engine.step() if isinstance(event, Finish)}
        engine.check_integrity()
    while engine.has_work:
        engine.step()
    engine.check_integrity()
    assert engine.stats().free_pages == engine.stats().pages


cells = st.lists(st.one_of(st.none(), tokens), min_size=15, max_size=15).map(lambda row: (*row, None))


@QUICK
@given(st.lists(st.tuples(cells, sampling), min_size=2, max_size=4))
def test_a_bidirectional_grid_keeps_its_givens_alone_and_in_a_mix(
    grid_model: LoadedModel, boards: list[tuple[tuple[int | None, ...], SamplingParameters]]
) -> None:
    mix = [Request(str(i), template=board, sampling=how) for i, (board, how) in enumerate(boards)]
    together = run(grid_model, mix)
    for request, (board, _) in zip(mix, boards, strict=True):
        answer = text(together[request.id])
        assert all(cell in (None, token) for cell, token in zip(board, answer, strict=True))
        assert run(grid_model, [request])[request.id] == together[request.id]


def test_a_request_that_waits_to_go_on_leaves_with_its_checkpoint(tiny_model: LoadedModel) -> None:
    engine = Engine(tiny_model, EngineLimits(max_running=1))
    request = Request("a", (5,) * 8, max_tokens=24, sampling=SamplingParameters(threshold=1.0))
    engine.add(request)
    for _ in range(5):
        engine.step()
    running = engine.checkpoint("a")
    engine.add(replace(request, id="urgent", priority=1))
    engine.step()
    assert not engine.admitted("a")
    assert engine.checkpoint("a") is None
    parked = engine.park("a")
    assert parked is not None
    assert running is not None
    assert parked.to_bytes() == running.to_bytes()
    assert engine.park("a") is None
    assert engine.stats().waiting == 0


def test_what_is_not_in_mid_canvas_concludes_at_once(tiny_model: LoadedModel) -> None:
    engine = Engine(tiny_model, EngineLimits(max_running=1))
    request = Request("runs", (5,) * 8, max_tokens=24, sampling=SamplingParameters(threshold=1.0, eos="ignore"))
    engine.add(request)
    engine.add(replace(request, id="waits"))
    waits = engine.conclude("waits")
    assert waits is not None
    assert (waits.reason, waits.usage.denoising_steps) == ("deadline", 0)
    told: list[int] = []
    while not engine.at_boundary("runs"):
        told += text(engine.step())
    finish = engine.conclude("runs")
    assert finish is not None
    assert (finish.reason, finish.usage.completion_tokens, len(told)) == ("deadline", 8, 8)
    assert engine.conclude("unknown") is None
    assert not engine.has_work
    engine.check_integrity()


def test_the_load_is_what_runs_and_waits(tiny_model: LoadedModel) -> None:
    engine = Engine(tiny_model, EngineLimits(max_running=1, position_budget=64, refresh_budget=16))
    assert engine.load() == EngineLoad(1, 0, (0,) * 8, ())
    request = Request("a", (5,) * 40, max_tokens=16, sampling=SamplingParameters("low_confidence", max_steps=4))
    engine.add(request)
    alone = engine.load()
    engine.add(replace(request, id="b"))
    both = engine.load()
    assert alone.free_places == both.free_places == 0
    assert both.backlog == 2 * alone.backlog >= 2 * (40 + 8 * 8)
    assert (alone.refresh_due[:3], both.refresh_due[:5]) == ((16, 16, 8), (16,) * 5)
    engine.step()
    assert engine.load().backlog < both.backlog
    while engine.has_work:
        engine.step()
    idle = engine.load()
    assert (idle.free_places, idle.backlog, idle.refresh_due) == (1, 0, (0,) * 8)
    assert len(idle.prefixes) >= 1
