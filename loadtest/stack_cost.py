"""``python -m loadtest.stack_cost``: what REST, Ray Serve and the state cost, as a ratio to the bare engine.

For each way of serving it starts a cluster of its own. That cluster and an engine in this process answer the same
requests in turn, and both have to give the same text. On the simulated device a step takes no processor time, which
shows what the stack adds where an accelerator computes; the other model shares the processors with the stack.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import yaml
from openai import AsyncOpenAI

from deployments.config import Serving
from dllm_worker.device import use_threads
from dllm_worker.engine import Engine
from dllm_worker.interface import StepEngine
from dllm_worker.models.checkpoint import ModelDescription, describe, resolve_checkpoint
from dllm_worker.models.loading import load_model
from dllm_worker.request import Commit, Request
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.simulated.engine import SimulatedEngine
from dllm_worker.text import Text
from loadtest.footprint import processor_seconds

MODELS = ("tiny-code", "simulated")
CHECKPOINT = "embedded:tiny-code"
DEVICE = SimulatedDevice(floor_seconds=0.02)
"""A step of up to 500 positions takes 20 ms, as that of an 8B model on a smaller accelerator."""

LIKE_THIS_PROCESS = "0"
"""Ray gives its processes less of a busy machine than others, which is none of what is measured here."""

ANSWER_TOKENS = 256
"""As many as an answer has whose client names no length."""

MAX_STEPS = 12
TEMPERATURE = 0.8
CONCURRENCY = (1, 16)
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class StackCost:
    """Medians over the rounds. ``ratio`` is the cluster's tokens per second over the engine's, taken in one round.

    ``processor_milliseconds`` is what all processes of the cluster use meanwhile, for each request; it changes least
    with whatever else the machine does.
    """

    serving: Serving
    model: str
    requests: int
    engine_tokens_per_second: float
    cluster_tokens_per_second: float
    ratio: float
    first_token_milliseconds: float
    processor_milliseconds: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster, whose processes have ``variable`` in their environment."""

    serving: Serving
    base_url: str
    api_key: str
    variable: str


@dataclass(frozen=True, slots=True)
class Bare:
    """A model as the engine alone runs it."""

    name: str
    description: ModelDescription
    text: Text
    start: Callable[[], StepEngine[Any]]

    def run(self, numbers: Sequence[int]) -> tuple[list[str], float]:
        """The answers to ``numbers`` at once, and the seconds that they took."""
        engine = self.start()
        tokens: dict[str, list[int]] = {str(number): [] for number in numbers}
        for number in numbers:
            engine.add(self._request(number))
        start = time.perf_counter()
        while engine.has_work:
            for event in engine.step():
                if isinstance(event, Commit):
                    tokens[event.request_id] += event.tokens
        return [self.text.decode(answer) for answer in tokens.values()], time.perf_counter() - start

    def _request(self, number: int) -> Request:
        sampling = replace(
            self.description.defaults,
            algorithm="low_confidence",
            max_steps=MAX_STEPS,
            temperature=TEMPERATURE,
            seed=number,
        )
        ids = (*self.text.begin(), *self.text.encode(prompt(number)))
        return Request(str(number), ids, max_tokens=ANSWER_TOKENS, sampling=sampling)


def prompt(number: int) -> str:
    """Prompts that differ, so that no two requests are the same work."""
    return f"class Table{number}:\n    def __init__(self, rows):\n"


def bare_models() -> list[Bare]:
    """The model on this processor, and on the simulated device."""
    path = resolve_checkpoint(CHECKPOINT)
    model, description, text = load_model(path), describe(path), Text.load(path)
    return [
        Bare("tiny-code", description, text, lambda: Engine(model)),
        Bare("simulated", description, text, lambda: SimulatedEngine(description.spec, DEVICE)),
    ]


@contextmanager
def cluster(serving: Serving, telemetry: Mapping[str, Any] | None = None) -> Iterator[Cluster]:
    """A cluster of both models, with this section ``telemetry`` in its configuration."""
    models: list[dict[str, Any]] = [{"id": "tiny-code", "checkpoint": CHECKPOINT}]
    models.append({"id": "simulated", "checkpoint": CHECKPOINT, "device": "simulated", "simulation": asdict(DEVICE)})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cluster.yaml"
        config = {"http": {"port": 0}, "ray": {"serving": serving}, "models": models, "telemetry": telemetry or {}}
        file.write_text(yaml.safe_dump(config))
        environment = {**os.environ, "XDG_RUNTIME_DIR": folder, "RAY_worker_niceness": LIKE_THIS_PROCESS}
        dllm = [sys.executable, "-m", "cluster"]
        up = [*dllm, "up", "--detach", "--json", "--config", str(file)]
        connection = subprocess.run(up, env=environment, check=True, stdout=subprocess.PIPE)
        try:
            yield Cluster(serving, **json.loads(connection.stdout), variable=f"XDG_RUNTIME_DIR={folder}")
        finally:
            subprocess.run([*dllm, "down"], env=environment, check=True, stdout=subprocess.DEVNULL)


async def ask(client: AsyncOpenAI, model: str, number: int) -> tuple[str, float]:
    """One streamed answer of the cluster, and the seconds until its first text."""
    start, first, answer = time.perf_counter(), 0.0, ""
    stream = await client.completions.create(
        model=model,
        prompt=prompt(number),
        max_tokens=ANSWER_TOKENS,
        temperature=TEMPERATURE,
        seed=number,
        stream=True,
        extra_body={"diffusion": {"algorithm": "low_confidence", "max_steps": MAX_STEPS}},
    )
    async for chunk in stream:
        answer += chunk.choices[0].text if chunk.choices else ""
        first = first or (time.perf_counter() - start if answer else 0.0)
    return answer, first


async def measure(client: AsyncOpenAI, cluster: Cluster, bare: Bare, count: int) -> StackCost:
    """``count`` requests at once, by the engine and by the cluster in turn."""
    rows, firsts = [], []
    for round_number in range(1, ROUNDS + 1):
        numbers = range(round_number * count, (round_number + 1) * count)
        expected, engine_seconds = bare.run(numbers)
        start, used = time.perf_counter(), processor_seconds(cluster.variable)
        answers = await asyncio.gather(*(ask(client, bare.name, number) for number in numbers))
        cluster_seconds, used = time.perf_counter() - start, processor_seconds(cluster.variable) - used
        if [answer for answer, _ in answers] != expected:
            raise SystemExit("the cluster's answers are not the engine's")
        tokens = sum(len(bare.text.encode(answer)) for answer in expected)
        rows.append((tokens / engine_seconds, tokens / cluster_seconds, engine_seconds / cluster_seconds, used / count))
        firsts += [first for _, first in answers]
    engine, ours, ratio, used = (statistics.median(column) for column in zip(*rows, strict=True))
    first = statistics.median(firsts)
    return StackCost(cluster.serving, bare.name, count, engine, ours, ratio, 1e3 * first, 1e3 * used)


async def compare(serving: Serving, models: Sequence[Bare]) -> list[StackCost]:
    """One row for each model and each of ``CONCURRENCY``."""
    with cluster(serving) as running:
        async with AsyncOpenAI(base_url=running.base_url, api_key=running.api_key) as client:
            for bare in models:
                bare.run([0])
                await ask(client, bare.name, 0)
            return [await measure(client, running, bare, count) for bare in models for count in CONCURRENCY]


def main() -> None:
    """Print a row for each measurement as JSON."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.stack_cost", description=__doc__)
    parser.add_argument("--serving", nargs="+", choices=get_args(Serving), default=get_args(Serving))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    options = parser.parse_args()
    use_threads(1)
    models = [bare for bare in bare_models() if bare.name in options.models]
    rows = [row for serving in options.serving for row in asyncio.run(compare(serving, models))]
    print(json.dumps([asdict(row) for row in rows], indent=2))


if __name__ == "__main__":
    main()
