"""How each family's cases are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dllm_worker.golden import a2d, diffusion_gemma, dream, fast_dllm_v2, llada, llada2, nemotron, sdar
from dllm_worker.golden.record import Record
from dllm_worker.golden.scenario import Scenario
from dllm_worker.spec import ModelSpec

SCENARIOS: Mapping[str, Callable[[Record, ModelSpec], Scenario]] = {
    "a2d_qwen3_bd3lm": a2d.scenario,
    "diffusion_gemma": diffusion_gemma.scenario,
    "dream": dream.scenario,
    "fast_dllm_v2": fast_dllm_v2.scenario,
    "llada": llada.scenario,
    "llada2": llada2.scenario,
    "llada21": llada2.scenario,
    "nemotron_labs_diffusion": nemotron.scenario,
    "sdar": sdar.scenario,
}
"""By the ``family`` of ``decode.json``."""
