"""``dllm smoke`` against a cluster of this process, over real sockets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cluster.cli.main import app
from cluster.valkey import free_port
from deployments.autoscaling.journal import MemorySegments
from deployments.gateway.admin.app import create_admin_app
from deployments.gateway.admin.server import serve_admin
from deployments.telemetry.collection import Collection
from deployments.telemetry.targets import MemoryTargets
from dllm_worker.request import Request
from tests.deployments.gateway.admin.administration import ADMIN_KEY, NOW, digest
from tests.deployments.gateway.grpc.served import Methods, Served, grpc_server, serving
from tests.deployments.gateway.scripted import ScriptedPool, Step, saying

LINES = re.compile(
    r"ready    tiny\n"
    r"key      (\w{8}) of (\w+)\n"
    r"http     tiny: 5 characters in 2 pieces, stop\n"
    r"(?:grpc     tiny: 5 characters, stop\n)?"
    r"revoked  \1\n"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A cluster, and `dllm smoke` of somebody who has its admin key in a file."""

    served: Served
    http_port: int
    admin_port: int
    grpc_address: str
    key_file: Path

    async def smoke(self, *options: str, grpc: bool = True) -> Result:
        doors = ["--base-url", f"http://127.0.0.1:{self.http_port}/v1"]
        doors += ["--grpc", self.grpc_address] if grpc else []
        doors += ["--admin-url", f"http://127.0.0.1:{self.admin_port}", "--admin-key-file", str(self.key_file)]
        return await asyncio.to_thread(CliRunner().invoke, app, ["smoke", *doors, *options])

    async def tenants(self) -> set[str]:
        return {tenant.name for tenant in await self.served.gateway.shared.directory.tenants()}


@asynccontextmanager
async def place(pool: ScriptedPool, home: Path) -> AsyncIterator[Place]:
    key_file = home / "admin-key"
    key_file.write_text(f"{ADMIN_KEY}\n")
    async with serving(pool) as served, AsyncExitStack() as stack:
        admin = create_admin_app(
            served.gateway.shared, Collection(MemoryTargets()), MemorySegments(), digest(ADMIN_KEY), lambda: NOW
        )
        ports = []
        for application in (served.application, admin):
            ports.append(free_port())
            server = asyncio.create_task(serve_admin(application, "127.0.0.1", ports[-1]))
            stack.callback(server.cancel)
        target = await stack.enter_async_context(grpc_server(Methods(served.gateway, served.verifier)))
        yield Place(served, ports[0], ports[1], target, key_file)


def answering() -> ScriptedPool:
    return ScriptedPool(saying("sys", "\nx"))


async def test_a_cluster_that_serves_is_told_so_and_left_as_it_was(tmp_path: Path) -> None:
    async with place(answering(), tmp_path) as cluster:
        before = await cluster.tenants()
        result = await cluster.smoke()
        assert result.exit_code == 0, result.output
        told = LINES.fullmatch(result.stdout)
        assert told is not None, result.stdout
        assert "grpc" in result.stdout
        assert told[2] == "smoke"
        assert len(cluster.served.pool.runs) == 2
        assert await cluster.tenants() == before


async def test_of_a_tenant_that_is_there_only_a_key_is_made_and_revoked(tmp_path: Path) -> None:
    async with place(answering(), tmp_path) as cluster:
        result = await cluster.smoke("--tenant", "bravo", grpc=False)
        told = LINES.fullmatch(result.stdout)
        assert told is not None, result.output
        assert told[2] == "bravo"
        assert "grpc" not in result.stdout
        (key,) = [key for key in await cluster.served.gateway.shared.directory.keys("bravo") if not key.declared]
        assert (key.id, key.revoked_at, key.expires_at) == (told[1], NOW, NOW + 600)


def silent() -> ScriptedPool:
    return ScriptedPool(saying())


def failing() -> ScriptedPool:
    return ScriptedPool(lambda request: [RuntimeError("broken")])


def unready() -> ScriptedPool:
    pool = answering()
    pool.is_ready = False
    return pool


@pytest.mark.parametrize(
    ("pool", "complaint"),
    [
        (silent, "dllm: tiny wrote 0 pieces of text, and its answer ended with stop\n"),
        (failing, "dllm: internal_error: "),
        (unready, "dllm: not ready after 0 s: answered with 503\n"),
    ],
)
async def test_one_that_does_not_serve_is_told_in_one_line(
    pool: Callable[[], ScriptedPool], complaint: str, tmp_path: Path
) -> None:
    async with place(pool(), tmp_path) as cluster:
        before = await cluster.tenants()
        result = await cluster.smoke("--wait", "0s")
        assert result.exit_code == 1
        assert result.stderr.startswith(complaint), result.output
        assert len(result.stderr.splitlines()) == 1
        assert await cluster.tenants() == before


async def test_an_answer_over_grpc_is_looked_at_too(tmp_path: Path) -> None:
    pool = answering()
    async with place(pool, tmp_path) as cluster:

        def fall_silent(request: Request) -> list[Step]:
            return saying()(request) if len(pool.runs) > 1 else saying("sys")(request)

        pool.script = fall_silent
        result = await cluster.smoke()
        assert (result.exit_code, "http " in result.stdout) == (1, True)
        assert result.stderr == "dllm: gRPC: tiny wrote '', and its answer ended with stop\n"


async def test_an_address_where_nobody_listens_is_told_after_the_wait(tmp_path: Path) -> None:
    async with place(answering(), tmp_path) as cluster:
        nowhere = f"http://127.0.0.1:{free_port()}/v1"
        result = await cluster.smoke("--base-url", nowhere, "--wait", "0s")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("dllm: not ready after 0 s: ")
        cluster.key_file.unlink()
        missing = await cluster.smoke()
        assert missing.stderr.startswith("dllm: the admin key cannot be read: ")
