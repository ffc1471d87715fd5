"""A node of a Kubernetes cluster: makes pods of documents, looks after them, and ends them as it should or must."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.install.network import PodNetwork
from tests.install.objects import Objects, write_files
from tests.install.pod import Container, Mount, Pod
from tests.install.probes import succeeds

Json = dict[str, Any]

REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
LABEL = re.compile(r"metadata\.labels\['(.+)'\]")
INIT_SECONDS = 120.0
PERIOD_SECONDS, FAILURES = 10, 3
BACK_OFF_SECONDS = 1.0


@dataclass(slots=True)
class Running:
    """A pod with one container. It takes new connections while it ``is_ready`` and not ``is_ending``."""

    pod: Pod
    document: Json
    container: Container
    is_ready: bool = False
    is_ending: bool = False
    restarts: int = 0
    watch: Future[None] | None = None

    @property
    def takes_connections(self) -> bool:
        return self.is_ready and not self.is_ending

    @property
    def ports(self) -> dict[str, int]:
        """Its ports by name."""
        return {port["name"]: port["containerPort"] for port in self.spec.get("ports", [])}

    @property
    def spec(self) -> Json:
        """Of its container."""
        container: Json = self.document["spec"]["containers"][0]
        return container

    @property
    def grace_seconds(self) -> float:
        return float(self.document["spec"].get("terminationGracePeriodSeconds", 30))

    def output(self) -> str:
        return self.pod.output(self.container.name)


class Kubelet:
    """Runs pods on a network. ``image`` is the environment of the images, and ``hosts`` the file with all names."""

    def __init__(
        self, network: PodNetwork, objects: Objects, folder: Path, hosts: Path, image: Mapping[str, str]
    ) -> None:
        self._network, self._objects, self._folder = network, objects, folder
        self._image = image
        resolver = folder / "resolv.conf"
        resolver.touch()
        self._names = (Mount("/etc/hosts", hosts, True), Mount("/etc/resolv.conf", resolver, True))
        self.pods: dict[str, Running] = {}

    def start(self, document: Json) -> Running:
        """Make the pod of a document, and watch it."""
        running = self._make(document)
        self.pods[running.pod.name] = running
        running.pod.run(running.container)
        running.watch = self._network.submit(self._look_after(running))
        return running

    def complete(self, document: Json, seconds: float) -> tuple[int, str]:
        """Run a pod to its end: the exit code of its container, and what it said."""
        running = self._make(document)
        try:
            return running.pod.finish(running.container, seconds), running.output()
        finally:
            running.pod.kill()

    def stop(self, name: str) -> float | None:
        """End a pod as an eviction does: it gets no new connections, its preStop hook runs, its process 1 is sent
        SIGTERM, and when its grace period is over it is killed. The seconds that it took; ``None`` if it was killed.
        """
        running = self.pods[name]
        begun = time.monotonic()
        running.is_ending = True
        hook = running.spec.get("lifecycle", {}).get("preStop")
        if hook is not None:
            time.sleep(hook["sleep"]["seconds"])
        running.pod.signal(running.container.name, signal.SIGTERM)
        left = running.grace_seconds - (time.monotonic() - begun)
        ended = running.pod.wait(running.container.name, left)
        taken = time.monotonic() - begun
        self._forget(name)
        return taken if ended else None

    def kill(self, name: str) -> None:
        """End a pod without a warning, as when it is out of memory."""
        self._forget(name)

    def lose(self, name: str) -> None:
        """Lose a pod with its node: from one moment to the next nothing comes from it, not even that it is gone."""
        self.pods[name].pod.cut_off()
        self._forget(name)

    def is_alive(self, running: Running) -> bool:
        """Whether its liveness probe succeeds; without one it is."""
        probe = running.spec.get("livenessProbe")
        return probe is None or self._network.submit(self._try(running, probe)).result()

    def stop_all(self) -> None:
        """End everything at once."""
        for name in [*self.pods]:
            self._forget(name)

    def _forget(self, name: str) -> None:
        running = self.pods.pop(name)
        running.is_ready = False
        if running.watch is not None:
            running.watch.cancel()
        running.pod.kill()

    def _make(self, document: Json) -> Running:
        metadata = document["metadata"]
        name = metadata["name"]
        pod = Pod(name, self._network.new_address(), metadata.get("labels", {}), self._network, self._folder / name)
        pod.create()
        initial = [self._container(document, spec, pod) for spec in document["spec"].get("initContainers", [])]
        for container in initial:
            code = pod.finish(container, INIT_SECONDS)
            assert code == 0, f"{name}: {container.name} ended with {code}: {pod.output(container.name)}"
        return Running(pod, document, self._container(document, document["spec"]["containers"][0], pod))

    def _container(self, document: Json, spec: Json, pod: Pod) -> Container:
        rights = {**document["spec"].get("securityContext", {}), **spec.get("securityContext", {})}
        assert not rights.get("runAsNonRoot") or rights.get("runAsUser"), f"{pod.name} runs as nobody knows whom"
        group = rights.get("fsGroup", rights.get("runAsGroup", 0))
        environment = {**self._image, **self._environment(document, spec, pod)}
        command = [_expanded(word, environment) for word in (*spec.get("command", []), *spec.get("args", []))]
        return Container(
            name=spec["name"],
            command=command,
            environment=environment,
            mounts=(*self._names, *self._mounts(document, spec, pod, group)),
            user=rights.get("runAsUser", 0),
            group=group,
            read_only=rights.get("readOnlyRootFilesystem", False),
        )

    def _environment(self, document: Json, spec: Json, pod: Pod) -> dict[str, str]:
        found: dict[str, str] = {}
        for variable in spec.get("env", []):
            if variable["name"] not in found:
                found[variable["name"]] = _expanded(self._value(document, variable, pod), found)
        return found

    def _value(self, document: Json, variable: Json, pod: Pod) -> str:
        source = variable.get("valueFrom")
        if source is None:
            return str(variable.get("value", ""))
        for kind, key in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")):
            if key in source:
                return self._objects.data(kind, source[key]["name"])[source[key]["key"]].decode()
        path = source["fieldRef"]["fieldPath"]
        metadata = document["metadata"]
        if label := LABEL.fullmatch(path):
            return str(metadata["labels"][label[1]])
        fields: dict[str, str] = {
            "metadata.name": pod.name,
            "metadata.namespace": metadata["namespace"],
            "status.podIP": pod.address,
            "spec.nodeName": "node",
        }
        return fields[path]

    def _mounts(self, document: Json, spec: Json, pod: Pod, group: int) -> list[Mount]:
        volumes = {volume["name"]: volume for volume in document["spec"].get("volumes", [])}
        return [
            Mount(
                mount["mountPath"],
                self._source(volumes[mount["name"]], pod, group),
                mount.get("readOnly", False),
            )
            for mount in spec.get("volumeMounts", [])
        ]

    def _source(self, volume: Json, pod: Pod, group: int) -> Path | None:
        folder = self._folder / f"{pod.name}.volumes" / volume["name"]
        if "emptyDir" in volume:
            return None
        if "secret" in volume:
            secret = volume["secret"]
            return write_files(self._objects.data("Secret", secret["secretName"]), secret, folder, group)
        return write_files(
            self._objects.data("ConfigMap", volume["configMap"]["name"]), volume["configMap"], folder, group
        )

    async def _look_after(self, running: Running) -> None:
        """Start its container again whenever it ends, and have it ready or not meanwhile."""
        while True:
            watching = asyncio.create_task(self._watch(running))
            try:
                await running.pod.ended(running.container.name)
            finally:
                watching.cancel()
            if running.is_ending:
                return
            running.is_ready = False
            await asyncio.sleep(BACK_OFF_SECONDS)
            running.restarts += 1
            running.pod.run(running.container)

    async def _watch(self, running: Running) -> None:
        """Have it started, and then ready or not as its probes say."""
        started = running.spec.get("startupProbe")
        if started is not None:
            await self._until_started(running, started)
        probe = running.spec.get("readinessProbe")
        if probe is None:
            running.is_ready = True
            return
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        failed = 0
        while True:
            failed = 0 if await self._try(running, probe) else failed + 1
            if failed in (0, probe.get("failureThreshold", FAILURES)):
                running.is_ready = not failed
            await asyncio.sleep(probe.get("periodSeconds", PERIOD_SECONDS))

    async def _until_started(self, running: Running, probe: Json) -> None:
        period = probe.get("periodSeconds", PERIOD_SECONDS)
        while True:
            if await self._try(running, probe):
                return
            await asyncio.sleep(period)

    async def _try(self, running: Running, probe: Json) -> bool:
        pod, container = running.pod, running.container
        return await succeeds(
            probe,
            pod.address,
            running.ports,
            lambda command: pod.entering(container, command),
            dict(container.environment),
        )


def _expanded(text: str, environment: Mapping[str, str]) -> str:
    """``$(NAME)`` in commands and values; what is not known stays as it is."""
    return REFERENCE.sub(lambda match: environment.get(match[1], match[0]), text)
