from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import CacheParameters, Request, RequestError, SamplingParameters
from dllm_worker.validate import validate


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 300}, "max_tokens"),
        ({"prompt": (96,)}, "prompt"),
        ({"prompt": (-1,)}, "prompt"),
        ({"template": ()}, "template"),
        ({"template": (5, 6)}, "template"),
        ({"template": (None, 200)}, "template"),
        ({"canvas_length": 0}, "canvas_length"),
        ({"canvas_length": 257}, "canvas_length"),
        ({"sampling": SamplingParameters(algorithm="wino")}, "algorithm"),  # type: ignore[arg-type]
        ({"sampling": SamplingParameters(schedule="square")}, "schedule"),  # type: ignore[arg-type]
        ({"sampling": SamplingParameters(max_steps=0)}, "max_steps"),
        ({"sampling": SamplingParameters(threshold=-0.1)}, "threshold"),
        ({"sampling": SamplingParameters(threshold=math.nan)}, "threshold"),
        ({"sampling": SamplingParameters(entropy_bound=-1.0)}, "entropy_bound"),
        ({"sampling": SamplingParameters(entropy_exit=-0.1)}, "entropy_exit"),
        ({"sampling": SamplingParameters(temperature=2.5)}, "temperature"),
        ({"sampling": SamplingParameters(temperature=math.inf)}, "temperature"),
        ({"sampling": SamplingParameters(top_p=0.0)}, "top_p"),
        ({"sampling": SamplingParameters(top_k=-1)}, "top_k"),
        ({"sampling": SamplingParameters(seed=2**63)}, "seed"),
        ({"sampling": SamplingParameters(editing_threshold=1.5)}, "editing_threshold"),
        ({"sampling": SamplingParameters(max_post_steps=-1)}, "max_post_steps"),
        ({"sampling": SamplingParameters(factor=0.0)}, "factor"),
        ({"sampling": SamplingParameters(gap_exit=0.0)}, "gap_exit"),
        ({"sampling": SamplingParameters(stability=-1)}, "stability"),
        ({"sampling": SamplingParameters(t_min=0.9)}, "t_min"),
        ({"sampling": SamplingParameters(t_max=3.0)}, "t_max"),
        ({"sampling": SamplingParameters(open_share=2.0)}, "open_share"),
        ({"sampling": SamplingParameters(force_share=-1.0)}, "force_share"),
        ({"sampling": SamplingParameters(guidance=-1.0)}, "guidance"),
        ({"sampling": SamplingParameters(eos="soon")}, "eos"),  # type: ignore[arg-type]
        ({"sampling": SamplingParameters(algorithm="renoise")}, "algorithm"),
        ({"sampling": SamplingParameters(algorithm="linear_speculation")}, "algorithm"),
        ({"sampling": SamplingParameters(algorithm="autoregressive")}, "algorithm"),
        ({"sampling": SamplingParameters(algorithm="pipelined"), "template": (None,)}, "algorithm"),
        ({"context_attention": "causal"}, "context_attention"),
        ({"cache": CacheParameters("prefix")}, "cache"),
        ({"cache": CacheParameters("dual")}, "cache"),
        ({"cache": CacheParameters(refresh_every=0)}, "refresh_every"),
        ({"cache": CacheParameters(before=-1)}, "before"),
    ],
)
def test_what_cannot_run_is_refused_by_name(tiny_model: LoadedModel, changes: dict[str, Any], parameter: str) -> None:
    request = replace(Request("a", prompt=(5,), max_tokens=8), **changes)
    with pytest.raises(RequestError) as refusal:
        validate(request, tiny_model.spec)
    assert refusal.value.parameter == parameter


def test_a_grid_takes_no_more_than_its_canvas(grid_model: LoadedModel) -> None:
    validate(Request("a", template=(None,) * 16), grid_model.spec)
    with pytest.raises(RequestError, match="positions"):
        validate(Request("a", template=(None,) * 17), grid_model.spec)


def test_a_grid_has_no_canvas_length_to_choose(grid_model: LoadedModel) -> None:
    with pytest.raises(RequestError) as refusal:
        validate(Request("a", template=(None,) * 16, canvas_length=8), grid_model.spec)
    assert refusal.value.parameter == "canvas_length"


def test_the_whole_context_may_be_used(tiny_model: LoadedModel) -> None:
    validate(Request("a", prompt=(5,) * 100, max_tokens=156), tiny_model.spec)
    with pytest.raises(RequestError, match="257 positions"):
        validate(Request("a", prompt=(5,) * 100, max_tokens=157), tiny_model.spec)
