"""What Ray raises becomes what the gateway tells its clients. The handle is a double; the real one runs end to end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from deployments.errors import InternalError, NoReplica, Overloaded, QueueFull, ServingError
from deployments.ray_pool import RayPool
from dllm_worker.request import Event, Request

REQUEST = Request("a", max_tokens=1)


class Stream:
    """Yields ``items``, then raises ``error`` if there is one; knows whether it was cancelled."""

    def __init__(self, items: list[tuple[Event, ...]], error: Exception | None = None) -> None:
        self._items, self._error = items, error
        self.cancelled = False

    async def __aiter__(self) -> AsyncIterator[tuple[Event, ...]]:
        for item in self._items:
            yield item
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        self.cancelled = True


def pool_over(stream: Stream) -> RayPool:
    class Handle:
        generate = SimpleNamespace(remote=lambda request: stream)

        def options(self, *, stream: bool) -> Handle:
            assert stream
            return self

    handle: Any = Handle()
    return RayPool(handle)


def task_error(cause: Exception) -> RayTaskError:
    return RayTaskError("generate", "remote traceback", cause)


async def test_events_pass_and_the_end_is_left_alone() -> None:
    stream = Stream([(), ()])
    assert [events async for events in pool_over(stream).generate(REQUEST)] == [(), ()]
    assert not stream.cancelled


async def test_leaving_early_cancels_at_the_replica() -> None:
    stream = Stream([(), ()])
    events = pool_over(stream).generate(REQUEST)
    await anext(events)
    await events.aclose()
    assert stream.cancelled


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (BackPressureError(num_queued_requests=3, max_queued_requests=2), Overloaded),
        (DeploymentUnavailableError(None), NoReplica),
        (ActorDiedError(), NoReplica),
        (task_error(QueueFull()), QueueFull),
        (task_error(ValueError("secret detail")), InternalError),
    ],
)
async def test_failures_are_told_in_our_words(raised: Exception, told: type[ServingError]) -> None:
    with pytest.raises(told) as failure:
        [events async for events in pool_over(Stream([()], raised)).generate(REQUEST)]
    assert "secret" not in str(failure.value)
    assert type(failure.value) is told


@pytest.mark.parametrize(
    ("answer", "ready"), [(True, True), (False, False), (ActorDiedError(), False), (task_error(ValueError()), False)]
)
async def test_a_pool_is_ready_when_a_replica_says_so(answer: bool | Exception, ready: bool) -> None:
    async def ask() -> bool:
        if isinstance(answer, Exception):
            raise answer
        return answer

    handle: Any = SimpleNamespace(ready=SimpleNamespace(remote=ask))
    assert await RayPool(handle).ready() is ready
