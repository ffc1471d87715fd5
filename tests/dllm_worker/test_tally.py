"""What an engine says that it has executed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dllm_worker.decoding.trace import StepTrace
from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import CacheParameters, Finish, Request, SamplingParameters
from dllm_worker.scheduling.planner import StepKind
from dllm_worker.shapes import ROW_BUCKET
from dllm_worker.simulated.device import FLOPS_PER_POSITION
from dllm_worker.work import Look, network_cost
from tests.dllm_worker.models import families
from tests.dllm_worker.simulated import devices

AT_ONCE = SamplingParameters("low_confidence", max_steps=1, eos="ignore")
TWICE = SamplingParameters("low_confidence", max_steps=2, eos="ignore")


def counted(model: LoadedModel, requests: Sequence[Request]) -> tuple[Engine, int]:
    """An engine that has run ``requests`` to their ends, and the operations that torch has seen meanwhile."""
    engine = Engine(model, EngineLimits(max_running=len(requests)))
    for request in requests:
        engine.add(request)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        while engine.has_work:
            engine.step()
    return engine, counter.get_total_flops()


def test_torch_counts_the_same_where_rows_fill_their_buckets(tiny_model: LoadedModel) -> None:
    canvases = [Request(str(i), max_tokens=8, sampling=AT_ONCE) for i in range(ROW_BUCKET // 8)]
    engine, flops = counted(tiny_model, canvases)
    assert engine.stats().steps == 1
    assert engine.stats().flops == flops


@pytest.mark.parametrize("guidance", [0.0, 0.5])
def test_torch_counts_no_more_than_the_padding_of_each_step_besides(tiny_model: LoadedModel, guidance: float) -> None:
    sampling = SamplingParameters("low_confidence", max_steps=2, eos="ignore", guidance=guidance)
    requests = [Request(str(i), tuple(range(2, 13 + i)), max_tokens=20, sampling=sampling) for i in range(3)]
    engine, flops = counted(tiny_model, requests)
    stats, cost = engine.stats(), network_cost(tiny_model.denoiser)
    padding = cost.of([], head_rows=ROW_BUCKET).flops + 2 * cost.weights * ROW_BUCKET
    assert stats.flops < flops < stats.flops + stats.steps * padding


@pytest.mark.parametrize("family", sorted(families.CONFIGS))
def test_so_it_is_with_every_family(family: str, tmp_path: Path) -> None:
    model = load_model(families.write(tmp_path, families.CONFIGS[family]))
    sampling = replace(model.description.defaults, max_steps=3)
    requests = [Request(name, tuple(range(2, 21)), max_tokens=12, sampling=sampling) for name in "ab"]
    engine, flops = counted(model, requests)
    stats = engine.stats()
    padding = network_cost(model.denoiser).of([Look(ROW_BUCKET)], ROW_BUCKET, ROW_BUCKET).flops
    assert stats.flops < flops < stats.flops + stats.steps * padding


def test_a_self_conditioned_canvas_pays_for_its_soft_embedding(tmp_path: Path) -> None:
    model = load_model(families.write(tmp_path, families.CONFIGS["diffusion_gemma"]))
    engine, rows = Engine(model), model.spec.canvas_length
    engine.add(Request("a", max_tokens=rows, sampling=model.description.defaults))
    engine.step()
    expected = network_cost(model.denoiser).of([Look(rows)], head_rows=rows, soft_rows=rows)
    assert (engine.stats().flops, engine.stats().bytes) == (expected.flops, expected.bytes)


def test_position_forwards_are_those_of_the_requests_by_kind(tiny_model: LoadedModel) -> None:
    passes: list[StepTrace] = []
    engine = Engine(tiny_model, EngineLimits(max_running=2), observe=passes.append)
    for name in "ab":
        engine.add(Request(name, tuple(range(2, 40)), max_tokens=30, sampling=TWICE))
    used = 0
    while engine.has_work:
        used += sum(event.usage.position_forwards for event in engine.step() if isinstance(event, Finish))
    stats = engine.stats()
    assert stats.position_forwards == sum(stats.kinds.values()) == used
    expected = dict.fromkeys(StepKind, 0)
    for trace in passes:
        expected[trace.kind] += trace.fed_stop - trace.fed_start
    assert stats.kinds == expected
    assert stats.kinds[StepKind.COMMIT] > 0


def test_a_sequence_without_a_cache_is_refreshed(sequence_model: LoadedModel) -> None:
    engine, _ = counted(sequence_model, [Request("a", (5, 6), max_tokens=8, sampling=TWICE)])
    assert engine.stats().kinds == dict.fromkeys(StepKind, 0) | {StepKind.REFRESH: 2 * 10}


def test_what_is_seen_behind_a_window_counts(sequence_model: LoadedModel) -> None:
    cached = CacheParameters("dual")
    request = Request("a", (5, 6), max_tokens=16, canvas_length=8, sampling=TWICE, cache=cached)
    engine = Engine(sequence_model)
    engine.add(request)
    engine.step()
    before = engine.stats().flops
    engine.step()
    cost = network_cost(sequence_model.denoiser)
    assert engine.stats().flops - before == cost.of([Look(8, before=2, after=8, stored=True)], head_rows=4).flops


def test_counting_is_no_step(tiny_model: LoadedModel) -> None:
    engine = Engine(tiny_model)
    engine.step()
    stats = engine.stats()
    assert (stats.flops, stats.bytes, stats.position_forwards) == (0, 0, 0)


def test_stats_do_not_change_afterwards(tiny_model: LoadedModel) -> None:
    engine = Engine(tiny_model)
    before = engine.stats()
    engine.add(Request("a", max_tokens=8, sampling=AT_ONCE))
    engine.step()
    assert sum(before.kinds.values()) == 0


def test_a_simulated_position_costs_the_same_wherever_it_is() -> None:
    engine = devices.engine()
    engine.add(Request("a", tuple(range(2, 20)), max_tokens=30, sampling=TWICE))
    while engine.has_work:
        engine.step()
    stats = engine.stats()
    assert stats.flops == stats.position_forwards * FLOPS_PER_POSITION
    assert stats.bytes == pytest.approx(stats.steps * 16e9, rel=0.01)
    assert stats.kinds[StepKind.PREFILL] == 16
    assert sum(stats.kinds.values()) == stats.position_forwards
