"""A Serve application that writes more than sockets hold, in the frames of the gateway."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator
from itertools import count

from fastapi import FastAPI
from ray import serve
from starlette.responses import StreamingResponse

from deployments.gateway import sse
from deployments.gateway.canvas import CanvasFrame

CANVAS = 4096
STEPS, STEPS_OF_A_COMMIT = 3000, 50
COMMITS = STEPS // STEPS_OF_A_COMMIT

routes = FastAPI()


def shown(step: int) -> str:
    """The whole canvas after a step."""
    return f"{step:08d}" * (CANVAS // 8)


def frames_of(step: int) -> bytes:
    """A view of the canvas, and now and then a piece of the answer."""
    committed = step // STEPS_OF_A_COMMIT
    view = CanvasFrame(0, step, None, 0, 0, CANVAS, committed, text=shown(step))
    wire = sse.unnumbered({"text": "", "diffusion": view.as_json(step)})
    return wire if step % STEPS_OF_A_COMMIT else sse.frame({"text": "x"}, committed) + wire


@serve.deployment(max_ongoing_requests=32, ray_actor_options={"num_cpus": 0}, graceful_shutdown_timeout_s=1)
@serve.ingress(routes)
class Flood:
    """``written`` and ``left`` answer when the stream of that name was written to its end, or was cancelled."""

    def __init__(self) -> None:
        self._written: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._left: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    @routes.get("/stream/{name}")
    async def stream(self, name: str, steps: int = STEPS) -> StreamingResponse:
        return StreamingResponse(self._frames(name, steps), media_type=sse.MEDIA_TYPE)

    @routes.get("/written/{name}")
    async def written(self, name: str) -> None:
        await self._written[name].wait()

    @routes.get("/left/{name}")
    async def left(self, name: str) -> None:
        await self._left[name].wait()

    async def _frames(self, name: str, steps: int) -> AsyncGenerator[bytes]:
        """With 0 steps it never ends."""
        try:
            for step in range(1, steps + 1) if steps else count(1):
                yield frames_of(step)
                await asyncio.sleep(0)
            self._written[name].set()
        finally:
            self._left[name].set()
