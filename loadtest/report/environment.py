"""Where a load test ran, without which its figures say nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Environment:
    """The load generator, and the cluster by its own words. ``processor_percent`` is the most of one core that a
    process of the load generator was seen to use: near 100 its times are its own, and not the cluster's.
    """

    began_at: str
    commit: str
    machine: str
    cores: int
    memory_gib: float
    python: str
    locust: str
    processes: int
    processor_percent: float
    base_url: str
    server: dict[str, Any]


def environment_of(base_url: str, processes: int, began_at: datetime, processor_percent: float) -> Environment:
    """This machine and the cluster at ``base_url``, which ends in ``/v1``."""
    return Environment(
        began_at=began_at.isoformat(timespec="seconds"),
        commit=_commit(),
        machine=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count() or 0,
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        python=platform.python_version(),
        locust=version("locust"),
        processes=processes,
        processor_percent=round(processor_percent, 1),
        base_url=base_url,
        server=_server(base_url),
    )


def _commit() -> str:
    """That of the load test's own sources, with a plus sign where they were changed since."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+"], cwd=ROOT, capture_output=True, text=True
        )
    except OSError:
        return "unknown"
    return described.stdout.strip() or "unknown"


def _server(base_url: str) -> dict[str, Any]:
    try:
        told: dict[str, Any] = httpx.get(f"{base_url.removesuffix('/v1')}/version", timeout=10.0).json()
    except (httpx.HTTPError, ValueError) as error:
        return {"error": str(error)}
    return told
