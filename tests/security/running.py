"""A cluster as ``dllm up --detach`` starts it: a program of its own, and everything that it leaves on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

START_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Running:
    """``record`` is what the runtime folder in ``folder`` tells of it."""

    pid: int
    folder: Path
    record: Mapping[str, Any]

    @property
    def base_url(self) -> str:
        return str(self.record["base_url"]).removesuffix("/v1")

    @property
    def admin_url(self) -> str:
        return str(self.record["admin_url"])

    def processes(self) -> list[Path]:
        """The folders in /proc of the program and of all that it has started, directly or not."""
        below = {self.pid}
        while more := {pid for pid, parent in _parents().items() if parent in below} - below:
            below |= more
        return [Path("/proc") / str(pid) for pid in below]

    def folders(self) -> list[Path]:
        """Where it has its files: the runtime folder and its output, Ray's folder, and that of the state server."""
        ray = {
            Path(*Path(word).parts[:3])
            for process in self.processes()
            for word in words(process)
            if word.startswith("/tmp/dllm-ray-")
        }
        # A Valkey server writes over its command line.
        state = Path(os.readlink(f"/proc/{self.record['state_pid']}/cwd"))
        assert (len(ray), state.name.startswith("dllm-valkey-")) == (1, True)
        return [self.folder, *ray, state]

    def variable(self, name: str) -> str:
        """The value of a variable of the environment that the cluster's processes have."""
        for process in self.processes():
            for entry in (process / "environ").read_bytes().split(b"\0"):
                if entry.startswith(f"{name}=".encode()):
                    return entry.decode().partition("=")[2]
        raise LookupError(name)


def words(process: Path) -> list[str]:
    """The command line of a process; of one that has just ended there is none."""
    try:
        data = (process / "cmdline").read_bytes()
    except OSError:
        return []
    return [word for part in data.decode(errors="replace").split("\0") for word in part.replace("=", " ").split(" ")]


def _parents() -> dict[int, int]:
    found = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    return found


@contextmanager
def running(configuration: Mapping[str, Any], folder: Path) -> Iterator[Running]:
    """A cluster with this configuration, for as long as the context lasts."""
    config = folder / "config" / "cluster.yaml"
    config.parent.mkdir()
    config.write_text(yaml.safe_dump(dict(configuration)))
    environment = os.environ | {"XDG_RUNTIME_DIR": str(folder), "RAY_raylet_start_wait_time_s": "120"}

    def dllm(*arguments: str) -> None:
        command = [sys.executable, "-m", "cluster", *arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=START_SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr

    dllm("up", "--detach", "--config", str(config))
    try:
        (path,) = folder.glob("dllm-*/cluster.json")
        record: Mapping[str, Any] = json.loads(path.read_text())
        yield Running(record["pid"], folder, record)
    finally:
        dllm("down")
