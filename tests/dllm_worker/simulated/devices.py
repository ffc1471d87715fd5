"""A model of which only the description is real, and simulated engines for it."""

from __future__ import annotations

from dllm_worker.interface import EngineLimits
from dllm_worker.request import Event, Request
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.simulated.engine import SimulatedEngine
from dllm_worker.spec import ContextAttention, ModelSpec

MASK, EOS = 0, 1
DEVICE = SimulatedDevice(steps=4.0)


def spec(attention: ContextAttention = "block_causal") -> ModelSpec:
    return ModelSpec(
        family="simulated",
        vocab_size=96,
        corruption="absorbing",
        mask_token_id=MASK,
        eos_token_ids=(EOS,),
        suppressed_token_ids=(MASK,),
        canvas_length=8,
        max_canvas_length=256,
        canvas_anchor="zero",
        context_attention=attention,
        max_position=256,
    )


def engine(limits: EngineLimits | None = None, attention: ContextAttention = "block_causal") -> SimulatedEngine:
    """One whose steps take no time."""
    return SimulatedEngine(spec(attention), DEVICE, limits, sleep=lambda seconds: None)


def drain(engine: SimulatedEngine, events: list[Event]) -> None:
    while engine.has_work:
        events += engine.step()
        engine.check_integrity()
    assert engine.stats().free_pages == engine.stats().pages


def run(request: Request, limits: EngineLimits | None = None) -> list[Event]:
    alone, events = engine(limits), list[Event]()
    alone.add(request)
    drain(alone, events)
    return events
