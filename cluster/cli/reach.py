"""How commands reach a cluster: the one that runs here, or one whose address they are given."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import BaseModel

from cluster.cli.output import fail
from cluster.client.admin import AdminClient
from cluster.client.client import Client
from cluster.client.errors import ApiError, ClientError
from cluster.runtime import RunningCluster, RuntimeDirectory

ADMIN_KEY, API_KEY = "DLLM_ADMIN_KEY", "DLLM_API_KEY"

AdminUrl = Annotated[
    str | None,
    typer.Option(
        "--admin-url",
        envvar="DLLM_ADMIN_URL",
        help=f"As http://127.0.0.1:8001; its key is read from {ADMIN_KEY}. Without it, the cluster that runs here.",
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        envvar="DLLM_BASE_URL",
        help=f"Ends in /v1. Without it, the cluster that runs here. The key is read from {API_KEY} if it is set there.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextmanager
def admin_client(context: typer.Context, url: str | None, key_file: Path | None = None) -> Iterator[AdminClient]:
    """A client of the operator, with the key in ``key_file`` if there is one; what it raises ends the command. The
    context's object is its transport, if there is one.
    """
    if url is None:
        running = running_cluster()
        url, key = running.admin_url, running.admin_key
    else:
        key = _read_key(key_file) if key_file else os.environ.get(ADMIN_KEY) or _missing(ADMIN_KEY)
    with _told(), AdminClient(url, key, transport=context.obj) as client:
        yield client


@contextmanager
def tenant_client(context: typer.Context, url: str | None) -> Iterator[Client]:
    """A client of a tenant; as :func:`admin_client`."""
    key = os.environ.get(API_KEY)
    if url is None:
        running = running_cluster()
        url, key = running.base_url, key or running.api_key
    with _told(), Client(url, key or _missing(API_KEY), transport=context.obj) as client:
        yield client


def as_json(answer: BaseModel | Sequence[BaseModel]) -> str:
    """What the API answered, or a list of such, without what it said of the answer itself."""
    if isinstance(answer, BaseModel):
        return json.dumps(_plain(answer))
    return json.dumps([_plain(each) for each in answer])


def _plain(answer: BaseModel) -> dict[str, Any]:
    return answer.model_dump(mode="json", exclude={"request_id", "degraded"})


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        quoted = f" (request {error.request_id})" if error.request_id else ""
        fail(f"{error.code}: {error}{quoted}")
    except ClientError as error:
        fail(str(error))


def running_cluster() -> RunningCluster:
    """The cluster that runs here, or the end of the command."""
    running = RuntimeDirectory.of_user().read()
    if running is None:
        fail("no cluster is running here; give its address")
    return running


def _read_key(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip() or _missing(f"the admin key in {file}")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"the admin key cannot be read: {error}")


def _missing(name: str) -> NoReturn:
    fail(f"{name} is not set")
