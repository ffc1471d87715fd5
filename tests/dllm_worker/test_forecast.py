"""What is foretold is what happens, where nothing is left to chance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.engine import Engine
from dllm_worker.forecast import AHEAD, Reached, reached, refresh_ahead, steps_left, work_left
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import CacheParameters, Request, SamplingParameters
from tests.dllm_worker.models import families
from tests.dllm_worker.requests import drain, finish
from tests.dllm_worker.test_canvas import spec as spec_of

SCHEDULED = SamplingParameters("low_confidence", max_steps=4, eos="ignore")
EXACT = replace(spec_of("zero", "block_causal"), max_position=128)
PLAIN = Request("a", tuple(range(3, 24)), max_tokens=40, canvas_length=8, sampling=SCHEDULED)


def done(model: LoadedModel, request: Request) -> int:
    engine, events = Engine(model), {request.id: []}  # type: ignore[var-annotated]
    engine.add(request)
    drain(engine, events)
    return finish(events[request.id]).usage.position_forwards


@pytest.mark.parametrize(
    "cache", [CacheParameters(), CacheParameters("prefix"), CacheParameters("dual", 2), CacheParameters("vicinity", 3)]
)
@pytest.mark.parametrize("guidance", [0.0, 1.5])
def test_the_work_of_a_schedule_is_known(sequence_model: LoadedModel, cache: CacheParameters, guidance: float) -> None:
    request = replace(PLAIN, cache=cache, sampling=replace(SCHEDULED, guidance=guidance))
    spec = sequence_model.spec
    assert work_left(request, spec, reached(request, spec), 1.0) == done(sequence_model, request)


@pytest.mark.parametrize("tokens", [1, 3, 20, 40])
def test_the_work_with_an_exact_cache_is_known(tiny_model: LoadedModel, tokens: int) -> None:
    request = replace(PLAIN, max_tokens=tokens)
    forecast = work_left(request, tiny_model.spec, reached(request, tiny_model.spec), 1.0)
    assert forecast == pytest.approx(done(tiny_model, request), rel=0.2)


def test_an_infill_has_the_steps_of_its_holes(tiny_model: LoadedModel) -> None:
    request = Request("a", (5, 6), (None, 7, 8, None, None), sampling=replace(SCHEDULED, max_steps=None))
    at = reached(request, tiny_model.spec)
    assert (at.start, at.masked) == (0, 3)
    assert steps_left(request, tiny_model.spec, 7, at, 1.0) == 3


def test_heat_ends_a_canvas_within_its_bound(tmp_path: Path) -> None:
    spec = load_model(families.write(tmp_path, families.CONFIGS["diffusion_gemma"])).spec
    request = Request("a", (5, 6), max_tokens=16, sampling=SamplingParameters("renoise", max_steps=6))
    assert steps_left(request, spec, 16, Reached(2, 16), tokens_per_step=1.0) == 6
    assert steps_left(request, spec, 16, Reached(2, 16, step=2), tokens_per_step=4.0) == 2


@given(st.integers(0, 39))
def test_less_is_left_the_more_is_committed(committed: int) -> None:
    spec = EXACT
    left = [work_left(PLAIN, spec, reached(PLAIN, spec, told, cached=30), 2.0) for told in (committed, committed + 1)]
    assert left[0] >= left[1] > 0


def test_refreshes_are_foretold_where_they_fall(sequence_model: LoadedModel) -> None:
    """Every second step of a cache that is computed anew every two steps; a new canvas begins with one."""
    request = replace(PLAIN, cache=CacheParameters("dual", 3))
    spec, total = sequence_model.spec, 61
    ahead = refresh_ahead(request, spec, reached(request, spec), 1.0)
    assert ahead == (total, 0, 0, total, total, 0, 0, total)
    later = Reached(21, 6, step=2, refreshed=0)
    assert refresh_ahead(request, spec, later, 1.0)[:3] == (0, total, total)


def test_context_comes_first_and_a_commit_after_each_canvas(tiny_model: LoadedModel) -> None:
    ahead = refresh_ahead(PLAIN, tiny_model.spec, reached(PLAIN, tiny_model.spec), 1.0)
    assert len(ahead) == AHEAD
    assert ahead[0] == 16
    assert sum(ahead[1:]) in (8, 16)
    known = reached(PLAIN, tiny_model.spec, cached=16)
    assert refresh_ahead(PLAIN, tiny_model.spec, known, 1.0)[0] == 0
