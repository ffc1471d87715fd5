"""A pod as processes of this machine: network, mount and process namespaces as a container runtime makes them.

The image is this machine: its root below an overlay, which is read-only where the container's is. What the container
mounts is mounted, and it has the user and no more rights than its security context gives it.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.install.network import GATEWAY, PREFIX, PodNetwork

START_SECONDS = 20.0
POLL_SECONDS = 0.02
MACHINE = ("/dev", "/sys")


@dataclass(frozen=True, slots=True)
class Mount:
    """What is at ``target``: the file or folder ``source``, or without one an empty folder."""

    target: str
    source: Path | None = None
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Container:
    """A program of a pod."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    mounts: Sequence[Mount] = ()
    user: int = 0
    group: int = 0
    read_only: bool = False


@dataclass(slots=True)
class Pod:
    """A pod with an address of its own. ``folder`` has the outputs of its containers."""

    name: str
    address: str
    labels: Mapping[str, str]
    network: PodNetwork
    folder: Path
    _sandbox: subprocess.Popen[bytes] | None = None
    _end: str = ""
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def create(self) -> None:
        """Make its namespaces."""
        self.folder.mkdir(parents=True)
        script = [
            "read _",
            f"hostname {self.name}",
            "ip link set lo up",
            f"ip address add {self.address}/{PREFIX} dev eth0",
            "ip link set eth0 up",
            f"ip route add default via {GATEWAY}",
            "echo ready",
            "exec sleep infinity",
        ]
        spaces = ["unshare", "--net", "--ipc", "--uts", "sh", "-ec", "; ".join(script)]
        pipe = subprocess.PIPE
        self._sandbox = self.network.run(lambda: subprocess.Popen([*MORTAL, *spaces], stdin=pipe, stdout=pipe))
        outside, own = self.network.run(_namespace, "thread-self"), str(self._sandbox.pid)
        _until(lambda: _namespace(own) != outside, "a network namespace")
        self._end = self.network.plug(self._sandbox)
        assert self._sandbox.stdin
        assert self._sandbox.stdout
        self._sandbox.stdin.write(b"go\n")
        self._sandbox.stdin.close()
        with self._sandbox.stdout as said:
            assert said.readline() == b"ready\n", f"{self.name} has no network"

    def run(self, container: Container) -> None:
        """Start a container."""
        command = [*MORTAL, *self._entered(container)]
        with (self.folder / f"{container.name}.log").open("ab") as log:
            self._running[container.name] = self.network.run(
                lambda: subprocess.Popen(
                    command,
                    env={**container.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                )
            )

    def finish(self, container: Container, seconds: float) -> int:
        """Run a container to its end; its exit code."""
        self.run(container)
        return self._running.pop(container.name).wait(seconds)

    def output(self, container: str) -> str:
        """What it has said."""
        return (self.folder / f"{container}.log").read_text(errors="replace")

    async def ended(self, container: str) -> None:
        """Returns when its process 1 has ended."""
        gone, loop = asyncio.Event(), asyncio.get_running_loop()
        process = os.pidfd_open(self._running[container].pid)
        loop.add_reader(process, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(process)
            os.close(process)

    def first_process(self, container: str) -> int:
        """The number that its process 1 has on this machine. Raises :class:`ProcessLookupError` without one."""
        found = next(_children(self._running[container].pid), None)
        if found is None:
            raise ProcessLookupError(f"{self.name}: {container} has no process")
        return found

    def entering(self, container: Container, command: Sequence[str]) -> list[str]:
        """The command by which ``command`` runs inside a running container, as a probe does."""
        target = str(self.first_process(container.name))
        spaces = ("--mount", "--pid", "--net", "--ipc", "--uts", "--root", "--wdns=/")
        return ["nsenter", "--target", target, *spaces, *_rights(container), *command]

    def signal(self, container: str, number: signal.Signals) -> None:
        """To its process 1, as the kubelet does."""
        os.kill(self.first_process(container), number)

    def wait(self, container: str, seconds: float) -> bool:
        """Whether it ends in time."""
        try:
            self._running[container].wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def cut_off(self) -> None:
        """Nothing reaches it and nothing leaves it, as when its node has lost its power."""
        self.network.cut(self._end)

    def kill(self) -> None:
        """End everything in it at once."""
        for name, process in self._running.items():
            if process.poll() is None:
                self.signal(name, signal.SIGKILL)
                process.wait()
        if self._sandbox is not None:
            self._sandbox.kill()
            self._sandbox.wait()

    def _entered(self, container: Container) -> list[str]:
        assert self._sandbox is not None
        target = str(self._sandbox.pid)
        script = "; ".join([*_file_system(container, self.folder / f"{container.name}.root"), _exec(container)])
        spaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", script]
        return ["nsenter", "--target", target, "--net", "--ipc", "--uts", *spaces]


MORTAL = ("setpriv", "--pdeathsig", "KILL")
"""Ends with the thread that starts it."""


def _file_system(container: Container, root: Path) -> Iterator[str]:
    """Commands that make the container's root at ``root``."""
    place = shlex.quote(str(root))
    yield f"mkdir -p {place}; mount -t tmpfs tmpfs {place}; cd {place}; mkdir upper work root"
    yield "mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root"
    yield from (f"chmod o+x root{shlex.quote(str(folder))}" for folder in _closed_folders())
    yield f"echo dllm:x:{container.user}:{container.group}::/tmp:/bin/sh >> root/etc/passwd"
    yield from (f"mount --rbind {each} root{each}" for each in MACHINE)
    yield "mount -t proc proc root/proc"
    for mount in sorted(container.mounts, key=lambda mount: mount.target):
        yield from _mounted(mount)
    if container.read_only:
        yield "mount -o remount,ro root"


def _closed_folders() -> Iterator[Path]:
    """Folders on the way to Python and to this program that only some users may pass, unlike those of an image."""
    programs = [Path(sys.executable), Path(sys.executable).resolve(), Path(__file__)]
    for folder in sorted({folder for program in programs for folder in program.parents}):
        if not folder.stat().st_mode & stat.S_IXOTH:
            yield folder


def _mounted(mount: Mount) -> Iterator[str]:
    target = shlex.quote(f"root{mount.target}")
    if mount.source is None:
        yield f"mkdir -p {target}; mount -t tmpfs -o mode=1777 tmpfs {target}"
        return
    made = f"mkdir -p {target}" if mount.source.is_dir() else f"mkdir -p $(dirname {target}); touch {target}"
    yield f"{made}; mount --bind {shlex.quote(str(mount.source))} {target}"
    if mount.read_only:
        yield f"mount -o remount,bind,ro {target}"


def _exec(container: Container) -> str:
    return "exec chroot root " + shlex.join([*_rights(container), *container.command])


def _rights(container: Container) -> list[str]:
    user = ["--reuid", str(container.user), "--regid", str(container.group), "--clear-groups"]
    return [*MORTAL, *user, "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]


def _namespace(process: str) -> str:
    """The network of a process."""
    return os.readlink(f"/proc/{process}/ns/net")


def _children(pid: int) -> Iterator[int]:
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = entry.read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if int(parent) == pid:
            yield int(entry.parent.name)


def _until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} took more than {START_SECONDS:g} s")
        time.sleep(POLL_SECONDS)
