"""The hardware's counter as the DCGM exporter tells it to Prometheus."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from deployments.activity.nvml import Gpu, visible
from deployments.activity.source import Reading
from deployments.autoscaling.config import ActivitySource

FIELDS = ("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "DCGM_FI_PROF_TENSOR_UTIL_RATIO")
"""Of older exporters and of newer ones; both are shares of the time."""

NODE_NAME = "NODE_NAME"
"""The variable that tells a pod the name of its node, which the exporter calls ``Hostname``."""

TIMEOUT_SECONDS = 2.0


class DcgmSource:
    """The newest sample of the device's series within the last ``window_seconds``, with the time of that sample."""

    name: ActivitySource = "dcgm"

    def __init__(self, url: str, labels: Mapping[str, str], window_seconds: float) -> None:
        self._query = f"{_selector(labels)}[{math.ceil(window_seconds)}s]"
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS)

    def read(self, now: float) -> Reading | None:
        """See :meth:`Source.read`. Raises ``httpx.HTTPError``, and ``ValueError`` for what is no answer."""
        response = self._client.get("/api/v1/query", params={"query": self._query})
        response.raise_for_status()
        readings = [reading for reading in _readings(response.json()) if math.isfinite(reading.value)]
        return max(readings, key=lambda reading: reading.at, default=None)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def labels_of(gpu: Gpu | None, environment: Mapping[str, str], hostname: str) -> dict[str, str]:
    """Which series is that of this process's device: by UUID where that is known, or else by node and number.

    The node is what the variable ``NODE_NAME`` says, or else this machine, ``hostname``. Raises :class:`Unavailable`
    where this process has no device.
    """
    if gpu is not None:
        return {"UUID": gpu.uuid} | ({} if gpu.instance is None else {"GPU_I_ID": str(gpu.instance)})
    name = visible(environment)
    if not name.isdecimal():
        return {"UUID": name}
    return {"gpu": name, "Hostname": environment.get(NODE_NAME) or hostname}


def _selector(labels: Mapping[str, str]) -> str:
    matchers = [f'__name__=~"{"|".join(FIELDS)}"', *(f"{name}={json.dumps(value)}" for name, value in labels.items())]
    return "{" + ",".join(matchers) + "}"


def _readings(answer: Any) -> Iterator[Reading]:
    try:
        for series in answer["data"]["result"]:
            for at, value in series["values"]:
                yield Reading(float(value), float(at))
    except (KeyError, TypeError) as error:
        raise ValueError(f"Prometheus gave no matrix of samples: {error!r}") from error
