"""A deterministic model gives a request the same bits alone and in any batch, in bf16 and with several threads too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from dllm_worker.decoding.trace import StepTrace
from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import Request, SamplingParameters
from dllm_worker.shapes import ROW_TILE
from tests.dllm_worker.models import families
from tests.dllm_worker.test_families import requests

PRODUCTS = ("aten::mm", "aten::addmm", "aten::linear", "mkldnn::_linear_pointwise")


class Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes how many rows every product of rows and weights has."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rows: set[int] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), options: Mapping[str, Any] | None = None
    ) -> Any:
        if function.name().partition(".")[0] in PRODUCTS:
            x: Tensor = arguments[1] if "addmm" in function.name() else arguments[0]
            self.rows.add(x.shape[0])
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize("family", families.CONFIGS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_product_has_the_same_number_of_rows(
    family: str, dtype: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = families.write(tmp_path_factory.mktemp(family), families.CONFIGS[family])
    model = load_model(path, dtype, deterministic=True)
    engine = Engine(model)
    for request in requests(model.spec)[::4]:
        engine.add(request)
    with Products() as products:
        for _ in range(4):
            engine.step()
    assert products.rows == {ROW_TILE}


@pytest.fixture
def two_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def traces(model: LoadedModel, asked: list[Request], limits: EngineLimits) -> dict[str, list[StepTrace]]:
    """What every step did to each of these requests, to the bit."""
    seen: dict[str, list[StepTrace]] = {request.id: [] for request in asked}
    engine = Engine(model, limits, observe=lambda trace: seen[trace.request_id].append(trace))
    for request in asked:
        engine.add(request)
    while engine.has_work:
        engine.step()
    return {name: [plain(trace) for trace in own if trace.outcome == "rule"] for name, own in seen.items()}


def plain(trace: StepTrace) -> StepTrace:
    """Without what tells whether the context was written in the same pass."""
    return replace(trace, kind=None, fed_start=0)  # type: ignore[arg-type]


@pytest.mark.usefixtures("two_threads")
def test_bits_do_not_depend_on_the_batch(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The network is wide enough for bf16 products of other numbers of rows to round otherwise."""
    wide = families.QWEN3 | {"model_type": "sdar", "block_size": 8, "hidden_size": 320, "intermediate_size": 832}
    path = families.write(tmp_path_factory.mktemp("wide"), wide)
    model = load_model(path, "bfloat16", deterministic=True)
    how = SamplingParameters("quota_threshold", threshold=0.3, temperature=0.8)
    asked = [
        Request(str(i), tuple(range(3, 9 + 7 * i)), max_tokens=12, sampling=replace(how, seed=i)) for i in range(6)
    ]
    together = traces(model, asked, EngineLimits(position_budget=160))
    for request in asked:
        assert traces(model, [request], EngineLimits())[request.id] == together[request.id]
