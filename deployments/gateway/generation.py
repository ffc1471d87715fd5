"""One request's run: from the pool's events to the parts of the answer, with the record kept beside it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio

from deployments.errors import InternalError, NoReplica, ServingError
from deployments.gateway.assembler import Assembler, Done, Output
from deployments.gateway.model import Model
from deployments.gateway.plan import Plan
from deployments.gateway.recording import Recording
from deployments.gateway.usage import usage_json


async def generate(model: Model, plan: Plan, recording: Recording) -> AsyncGenerator[tuple[Output, ...]]:
    """First ``()`` when a replica has admitted the request, then the parts of the answer, :class:`Done` last.

    The record is final before :class:`Done` is out. Closing the generator early aborts the run, frees its canvas and
    leaves the record ``cancelled``.
    """
    assembler = Assembler(plan, model.text, model.description.spec)
    events_of_run = model.pool.generate(plan.request)
    admitted = False
    try:
        await recording.open()
        async for events in events_of_run:
            if not admitted:
                admitted = True
                await recording.run()
            await recording.append(events)
            outputs = assembler.push(events)
            if outputs and isinstance(done := outputs[-1], Done):
                await recording.close("completed", finish_reason=done.reason, usage=usage_json(done))
            yield outputs
            if assembler.done:
                return
        raise NoReplica("The replica went silent before the request was finished.")
    except Exception as error:
        code = error.code if isinstance(error, ServingError) else InternalError.code
        await recording.close("failed", error_code=code)
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await events_of_run.aclose()
            await recording.close("cancelled")
