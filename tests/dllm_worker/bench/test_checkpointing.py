from __future__ import annotations

from dllm_worker.bench.checkpointing import Answered, Writer, measure
from dllm_worker.engine import Engine
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Request, SamplingParameters

REQUEST = Request("0", (5, 6, 7), max_tokens=13, sampling=SamplingParameters("low_confidence", eos="ignore"))


def test_a_row_compares_answers_with_and_without(tiny_model: LoadedModel) -> None:
    row = measure("tiny", tiny_model, REQUEST, 2)
    assert (row.model, row.requests) == ("tiny", 2)
    assert 0 < row.checkpoints_per_token <= 1
    assert row.bytes > 100
    assert row.step_milliseconds > 0
    assert 0 < row.share < 1
    assert row.over_none > 0


def test_without_an_interval_nothing_is_written(tiny_model: LoadedModel) -> None:
    bare = Answered(tiny_model, [REQUEST])
    bare.run()
    assert bare.writer.written == 0
    assert bare.steps == 13


def test_only_the_latest_checkpoint_of_a_request_is_written(tiny_model: LoadedModel) -> None:
    engine, writer = Engine(tiny_model), Writer()
    engine.add(REQUEST)
    engine.step()
    checkpoint = engine.checkpoint("0")
    assert checkpoint is not None
    for _ in range(3):
        writer.put(checkpoint)
    with writer:
        pass
    assert writer.written == 1
