"""A real engine with a random model, and the thread that serves it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from deployments.replica.engine_thread import EngineThread
from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel, load_model
from tests.deployments.replica.engines import serving
from tests.dllm_worker.conftest import tiny_config, write_checkpoint


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(write_checkpoint(tmp_path_factory.mktemp("tiny"), tiny_config()))


@pytest.fixture
async def thread(model: LoadedModel) -> AsyncIterator[EngineThread]:
    with serving(Engine(model, EngineLimits(max_running=4)), max_waiting=2, replica="r1") as thread:
        yield thread
