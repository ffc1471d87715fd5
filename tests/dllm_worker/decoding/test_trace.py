from __future__ import annotations

import pytest

from dllm_worker.decoding.trace import StepTrace
from dllm_worker.engine import Engine
from dllm_worker.request import Commit, Request, SamplingParameters
from tests.dllm_worker.models.golden import model


@pytest.mark.parametrize("length", [2, 4, 8])
def test_traces_hold_every_token_that_is_told(length: int) -> None:
    """Also the one behind a draft that is kept whole, which lies beyond its canvas."""
    prompt, traces, told = (149, 14, 116), list[StepTrace](), list[int]()
    engine = Engine(model("nemotron_labs_diffusion"), observe=traces.append)
    sampling = SamplingParameters("linear_speculation", threshold=0.7, eos="ignore")
    engine.add(Request("a", prompt, max_tokens=12, canvas_length=length, sampling=sampling))
    while engine.has_work:
        told += [token for event in engine.step() if isinstance(event, Commit) for token in event.tokens]
        seen = list(prompt)
        for trace in traces:
            seen[trace.start :] = trace.after
        assert seen[len(prompt) : len(prompt) + len(told)] == told
    assert len(told) == 12
    kept_whole = [trace for trace in traces if len(trace.after) > len(trace.before)]
    assert bool(kept_whole) == (length == 2)
