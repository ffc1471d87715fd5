"""One request answered in this process, without Ray, a store or a network: what ``dllm generate`` does."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from pydantic import ValidationError

from deployments.config import ModelConfig
from deployments.errors import InvalidRequest
from deployments.gateway.assembler import Assembler, Done, Output
from deployments.gateway.canvas import CanvasFrame
from deployments.gateway.plan import Plan, Planner
from deployments.gateway.schema import CompletionBody, InfillBody
from deployments.gateway.settings import GatewaySettings
from deployments.gateway.writer import Delta
from deployments.pools.pool import LocalPool
from deployments.replica.build import start_engine
from deployments.run import Run
from dllm_worker.models.checkpoint import describe, resolve_checkpoint
from dllm_worker.text import Text

__all__ = ["CanvasFrame", "Delta", "Done", "Output", "answer"]

BODIES: Mapping[str, type[CompletionBody | InfillBody]] = {"completions": CompletionBody, "infill": InfillBody}


async def answer(config: ModelConfig, endpoint: str, body: Mapping[str, Any]) -> AsyncGenerator[Output]:
    """The parts of the answer that ``POST /v1/<endpoint>`` would give to ``body``, as they become final.

    ``endpoint`` is one of ``BODIES``. Raises :class:`deployments.errors.ServingError` for what is refused.
    """
    path = resolve_checkpoint(config.checkpoint)
    description, text = describe(path), Text.load(path)
    seed = int.from_bytes(os.urandom(8), "big") >> 1
    planner = Planner(description, text, GatewaySettings().default_max_tokens, "offline", seed)
    plan = _plan(planner, endpoint, {"model": config.id, **body})
    assembler = Assembler(plan, text, description.spec)
    engine = start_engine(config, config.pools[0])
    try:
        async with aclosing(LocalPool(engine).generate(Run(plan.request))) as messages:
            async for progress in messages:
                for output in assembler.push(progress.events):
                    yield output
                if assembler.done:
                    return
    finally:
        engine.stop()


def _plan(planner: Planner, endpoint: str, body: Mapping[str, Any]) -> Plan:
    try:
        parsed = BODIES[endpoint].model_validate(body)
    except ValidationError as error:
        fault = error.errors()[0]
        raise InvalidRequest(fault["msg"], parameter=".".join(str(key) for key in fault["loc"])) from error
    return planner.infill(parsed) if isinstance(parsed, InfillBody) else planner.completion(parsed)
