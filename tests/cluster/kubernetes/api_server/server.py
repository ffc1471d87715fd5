"""The server as a thread of the test's process, on a free port of loopback."""

from __future__ import annotations

import asyncio
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
import yaml
from kubernetes.client import ApiClient, Configuration
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.cluster.kubernetes.api_server.access import ADMINISTRATOR, User, service_account
from tests.cluster.kubernetes.api_server.application import Application, Requests
from tests.cluster.kubernetes.api_server.faults import Drop, Fault, Hold, Refuse
from tests.cluster.kubernetes.api_server.registry import Registry
from tests.cluster.kubernetes.api_server.resources import Document, defined_resource
from tests.cluster.kubernetes.api_server.status import unspecific
from tests.cluster.kubernetes.api_server.store import Key
from tests.cluster.kubernetes.api_server.watching import Instruction, Watches

START_SECONDS = 20.0
ADMINISTRATORS_TOKEN = "administrator"


@dataclass
class ApiServer:
    """
    A running server. What its methods do is done as by the controllers and administrators of a cluster: it needs
    no permission and is not among ``requests``.
    """

    url: str
    registry: Registry
    application: Application
    loop: asyncio.AbstractEventLoop
    _clients: list[Any] = field(default_factory=list)

    @property
    def requests(self) -> Requests:
        """What has been asked of the server."""
        return self.application.requests

    @property
    def watches(self) -> Watches:
        """The watches that are open."""
        return self.application.watches

    def define(self, definition: Document) -> None:
        """Serve a custom resource from its CustomResourceDefinition."""
        self.registry.serve(defined_resource(definition))

    def put(self, document: Document, namespace: str = "default") -> Document:
        """Store an object, new or known, with the status it states."""
        registry, resource = self.registry, self.registry.resource_of(document)
        where = document["metadata"].get("namespace", namespace) if resource.namespaced else ""
        key = Key(resource.qualified, where, document["metadata"]["name"])
        if where and Key("namespaces", "", where) not in registry.store.objects:
            self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": where}})
        if key in registry.store.objects:
            written = registry.patch(resource, where, key.name, "application/merge-patch+json", document)
        else:
            written = registry.create(resource, where, document)
        if "status" not in document or not resource.has_status:
            return written.document
        return registry.update(
            resource, where, key.name, {**written.document, "status": document["status"]}, "status"
        ).document

    def read(self, kind: str, name: str, namespace: str = "default") -> Document:
        """The stored object of a kind."""
        resource = next(found for found in self.registry.resources.values() if found.kind == kind)
        return self.registry.get(resource, namespace if resource.namespaced else "", name)

    def remove(self, kind: str, name: str, namespace: str = "default") -> None:
        """Delete an object, without grace."""
        resource = next(found for found in self.registry.resources.values() if found.kind == kind)
        where = namespace if resource.namespaced else ""
        self.registry.delete(resource, where, name, {"gracePeriodSeconds": 0})

    def names(self, kind: str, namespace: str = "") -> list[str]:
        """The names of the stored objects of a kind, in a namespace or in all."""
        resource = next(found for found in self.registry.resources.values() if found.kind == kind)
        return [document["metadata"]["name"] for document in self.registry.selected(resource, namespace)]

    def compact(self) -> None:
        """Forget all versions but the present one, as etcd does every five minutes."""
        self.registry.store.compact()

    def refuse(
        self, code: int, verb: str = "*", resource: str = "*", times: int = 1, retry_after: int | None = None
    ) -> None:
        """Refuse the next requests with ``code``."""
        self.application.faults.add(Fault(Refuse(unspecific(code, retry_after)), verb, resource, times))

    def drop(self, verb: str = "*", resource: str = "*", times: int = 1, afterwards: bool = False) -> None:
        """Lose the connections of the next requests, before or after they have been carried out."""
        self.application.faults.add(Fault(Drop(afterwards), verb, resource, times))

    def hold(self, verb: str = "*", resource: str = "*") -> Hold:
        """Keep the next request waiting until it is released."""
        held = Hold(self.loop)
        self.application.faults.add(Fault(held, verb, resource, 1))
        return held

    def token(self, namespace: str, name: str) -> str:
        """A bearer token of a ServiceAccount."""
        assert self.application.users is not None, "this server asks for no tokens"
        token = f"{namespace}/{name}"
        self.application.users[token] = service_account(namespace, name)
        return token

    def client(self, token: str | None = None) -> ApiClient:
        """The official client of this server, which is closed with it."""
        configuration = Configuration(host=self.url)
        configuration.retries = False
        if token is not None:
            configuration.api_key = {"authorization": f"Bearer {token}"}
        client = ApiClient(configuration)
        self._clients.append(client)
        return client

    def kubeconfig(self, path: Path, namespace: str = "default", token: str | None = None) -> Path:
        """``path``, with a configuration for kubectl, helm and the official clients written to it. Programs in Go send
        no token over plain HTTP, so they are nobody where there is access control.
        """
        user = {"token": token or ADMINISTRATORS_TOKEN}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "double",
            "clusters": [{"name": "double", "cluster": {"server": self.url}}],
            "users": [{"name": "double", "user": user}],
            "contexts": [
                {"name": "double", "context": {"cluster": "double", "user": "double", "namespace": namespace}}
            ],
        }
        path.write_text(yaml.safe_dump(document))
        return path

    def close(self) -> None:
        """End what is still open."""
        self.application.faults.release_all()
        self.watches.instruct(Instruction.END)
        for client in self._clients:
            client.close()


@contextmanager
def api_server(
    *, access_control: bool = False, clock: Callable[[], datetime] | None = None, kubelets_end_pods: bool = True
) -> Iterator[ApiServer]:
    """
    A server with the namespaces ``default`` and ``kube-system``. With ``access_control`` every request needs a
    token and a role; without, everyone may do everything.
    """
    registry = Registry(
        clock or (lambda: datetime.now(UTC)), lambda: str(uuid.uuid4()), kubelets_end_pods=kubelets_end_pods
    )
    users: dict[str, User] | None = {ADMINISTRATORS_TOKEN: ADMINISTRATOR} if access_control else None
    connections = _Connections()
    application = Application(registry, connections.drop, users)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = _Server(uvicorn.Config(application, http=connections.protocol, lifespan="off", log_config=None))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        loop = server.started_loop()
        running = ApiServer(f"http://127.0.0.1:{listening.getsockname()[1]}", registry, application, loop)
        try:
            yield running
        finally:
            running.close()
            server.stop()
            thread.join(START_SECONDS)


class _Server(uvicorn.Server):
    """Starts and stops by events."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ready = threading.Event()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._ready.set()

    async def main_loop(self) -> None:
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def started_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the server once it accepts connections."""
        if not self._ready.wait(START_SECONDS) or self._loop is None:
            raise TimeoutError("the API server did not start")
        return self._loop

    def stop(self) -> None:
        """End the thread of the server."""
        self.started_loop().call_soon_threadsafe(self._stopping.set)


class _Connections:
    """The open connections by the address of their client."""

    def __init__(self) -> None:
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}
        connections = self

        class Protocol(H11Protocol):
            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                connections._transports[transport.get_extra_info("peername")[:2]] = transport

        self.protocol = Protocol

    def drop(self, client: tuple[str, int]) -> None:
        """Close the connection to a client without a word."""
        self._transports[client[0], client[1]].abort()
