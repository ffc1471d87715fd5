from __future__ import annotations

import pytest
import torch

from dllm_worker.bench import ceilings, roofline
from dllm_worker.bench.roofline import CONTEXT, KINDS, Step, measure
from dllm_worker.bench.shapes import SMALL_FAMILIES, random_model
from dllm_worker.models.loading import LoadedModel
from dllm_worker.scheduling.planner import StepKind
from dllm_worker.work import Look, network_cost


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return random_model(SMALL_FAMILIES["sdar"] | {"model_type": "sdar", "num_hidden_layers": 1}, "float32", "cpu")


def test_a_step_is_the_work_of_its_kind(model: LoadedModel) -> None:
    cost = network_cost(model.denoiser)
    blocks = [Look(64, CONTEXT, stored=True), Look(64, CONTEXT + 64, stored=True)]
    assert Step("small", model, StepKind.PREFILL, 128).work == cost.of(blocks)
    assert Step("small", model, StepKind.REFRESH, 128).work == cost.of([Look(128, stored=True)], head_rows=64)
    assert Step("small", model, StepKind.REUSE, 128).work == cost.of([Look(128, CONTEXT)], head_rows=128)


def test_a_reuse_step_reads_the_cache_and_the_others_write_it(model: LoadedModel) -> None:
    written = {}
    for kind in KINDS:
        step = Step("small", model, kind, 64)
        before = step.pool.keys[0].clone()
        step.run()
        written[kind] = not torch.equal(step.pool.keys[0], before)
    assert written == {StepKind.PREFILL: True, StepKind.REFRESH: True, StepKind.REUSE: False}


@pytest.mark.parametrize("family", ["llada2_moe", "diffusion_gemma"])
def test_steps_of_mixtures_and_of_self_conditioned_models_run(family: str) -> None:
    torch.manual_seed(0)
    small = random_model(SMALL_FAMILIES[family] | {"model_type": family}, "float32", "cpu")
    for kind in KINDS:
        Step("small", small, kind, 64).run()


def test_each_step_is_set_against_the_ceilings(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "PRODUCTS", {"cpu": ((32, 32, 32),)})
    monkeypatch.setattr(ceilings, "COPIED_BYTES", {"cpu": 1024})
    monkeypatch.setattr(roofline, "REPETITIONS", 1)
    step = Step("small", model, StepKind.REUSE, 64)
    found = measure([step], step.model.dtype, step.model.device)
    (row,) = found.steps
    bound = found.ceilings.seconds(step.work)
    assert (row.model, row.step, row.rows) == ("small", "reuse", 64)
    assert row.over_roofline == pytest.approx(row.milliseconds / 1e3 / bound)
