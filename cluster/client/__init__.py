"""A client of the cluster's REST API, sync and async. It needs httpx and pydantic, and nothing else of this project.

::

    with Client("http://127.0.0.1:8000/v1", key) as client:
        print(client.chat("Say hello.", "tiny-code", max_tokens=32).text)
        with client.stream_completion("import ", "tiny-code", resume=True) as stream:
            for event in stream:
                if isinstance(event, TextDelta):
                    print(event.text, end="")
"""

from __future__ import annotations

from cluster.client.admin import AdminClient
from cluster.client.async_client import AsyncClient
from cluster.client.calls import Parameters, Terms
from cluster.client.client import Client
from cluster.client.errors import ApiError, ClientError, ConnectionFailed, UnexpectedAnswer
from cluster.client.events import CanvasFrame, Event, Finished, Started, TextDelta, Used
from cluster.client.retries import RetryPolicy

__all__ = [
    "AdminClient",
    "ApiError",
    "AsyncClient",
    "CanvasFrame",
    "Client",
    "ClientError",
    "ConnectionFailed",
    "Event",
    "Finished",
    "Parameters",
    "RetryPolicy",
    "Started",
    "Terms",
    "TextDelta",
    "UnexpectedAnswer",
    "Used",
]
