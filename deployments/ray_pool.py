"""The replicas of one model, reached through a Ray Serve handle."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from deployments.errors import InternalError, NoReplica, Overloaded, ServingError
from dllm_worker.request import Event, Request


class RayPool:
    """The replicas of one Ray Serve deployment."""

    def __init__(self, handle: DeploymentHandle[object]) -> None:
        self._handle = handle

    async def generate(self, request: Request) -> AsyncGenerator[tuple[Event, ...]]:
        """As :meth:`Pool.generate`. What Ray raises for a dead or missing replica becomes a :class:`ServingError`."""
        stream = self._handle.options(stream=True).generate.remote(request)
        finished = False
        try:
            async for events in stream:
                yield events
            finished = True
        except BackPressureError as error:
            raise Overloaded(retry_after=error.retry_after_s) from error
        except DeploymentUnavailableError as error:
            raise NoReplica from error
        except RayActorError as error:
            raise NoReplica("The replica was lost before the request was finished.") from error
        except RayTaskError as error:
            finished = True
            cause = error.cause
            raise (cause if isinstance(cause, ServingError) else InternalError()) from error
        finally:
            if not finished:
                stream.cancel()

    async def ready(self) -> bool:
        """Whether some replica answers and its engine runs."""
        try:
            return bool(await self._handle.ready.remote())
        except (DeploymentUnavailableError, RayActorError, RayTaskError):
            return False
