"""``python -m loadtest.stack_cost``: what REST, Ray Serve and the state cost, as a ratio to the bare engine.

A running cluster and an engine in this process answer the same requests in turn. Both must give the same text.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from openai import AsyncOpenAI

from dllm_worker.device import use_threads
from dllm_worker.engine import Engine
from dllm_worker.models.checkpoint import resolve_checkpoint
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import Commit, Request
from dllm_worker.text import Text

MODEL = "tiny-code"
ANSWER_TOKENS = 96
MAX_STEPS = 12
TEMPERATURE = 0.8
CONCURRENCY = (1, 4, 16)
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class StackCost:
    """Tokens per second of both, medians over ``ROUNDS``; ``ratio`` is the cluster's over the engine's."""

    requests: int
    engine_tokens_per_second: float
    cluster_tokens_per_second: float
    ratio: float
    first_token_milliseconds: float


def prompt(number: int) -> str:
    """Prompts that differ, so that no two requests are the same work."""
    return f"class Table{number}:\n    def __init__(self, rows):\n"


def bare(model: LoadedModel, text: Text, numbers: Sequence[int]) -> tuple[list[str], float]:
    """The answers of an engine in this process, and the seconds it took."""
    engine = Engine(model)
    tokens: dict[str, list[int]] = {str(number): [] for number in numbers}
    for number in numbers:
        sampling = replace(
            model.description.defaults,
            algorithm="low_confidence",
            max_steps=MAX_STEPS,
            temperature=TEMPERATURE,
            seed=number,
        )
        ids = (*text.begin(), *text.encode(prompt(number)))
        engine.add(Request(str(number), ids, max_tokens=ANSWER_TOKENS, sampling=sampling))
    start = time.perf_counter()
    while engine.has_work:
        for event in engine.step():
            if isinstance(event, Commit):
                tokens[event.request_id] += event.tokens
    return [text.decode(answer) for answer in tokens.values()], time.perf_counter() - start


async def ask(client: AsyncOpenAI, number: int) -> tuple[str, float]:
    """One streamed answer of the cluster, and the seconds until its first text."""
    start, first, answer = time.perf_counter(), 0.0, ""
    stream = await client.completions.create(
        model=MODEL,
        prompt=prompt(number),
        max_tokens=ANSWER_TOKENS,
        temperature=TEMPERATURE,
        seed=number,
        stream=True,
        extra_body={"diffusion": {"algorithm": "low_confidence", "max_steps": MAX_STEPS}},
    )
    async for chunk in stream:
        first = first or time.perf_counter() - start
        answer += chunk.choices[0].text if chunk.choices else ""
    return answer, first


async def measure(client: AsyncOpenAI, model: LoadedModel, text: Text, count: int) -> StackCost:
    """``count`` requests at once, by the engine and by the cluster in turn."""
    engine_rates, cluster_rates, firsts = [], [], []
    for round_number in range(ROUNDS):
        numbers = range(round_number * count, (round_number + 1) * count)
        expected, engine_seconds = bare(model, text, numbers)
        start = time.perf_counter()
        answers = await asyncio.gather(*(ask(client, number) for number in numbers))
        cluster_seconds = time.perf_counter() - start
        if [answer for answer, _ in answers] != expected:
            raise SystemExit("the cluster's answers are not the engine's")
        tokens = sum(len(text.encode(answer)) for answer in expected)
        engine_rates.append(tokens / engine_seconds)
        cluster_rates.append(tokens / cluster_seconds)
        firsts += [first for _, first in answers]
    engine_rate, cluster_rate = statistics.median(engine_rates), statistics.median(cluster_rates)
    return StackCost(count, engine_rate, cluster_rate, cluster_rate / engine_rate, 1e3 * statistics.median(firsts))


async def compare(base_url: str, api_key: str, threads: int) -> list[StackCost]:
    """One row for each of ``CONCURRENCY``."""
    use_threads(threads)
    path = resolve_checkpoint(f"embedded:{MODEL}")
    model, text = load_model(path), Text.load(path)
    async with AsyncOpenAI(base_url=base_url, api_key=api_key) as client:
        await ask(client, 0)
        bare(model, text, [0])
        return [await measure(client, model, text, count) for count in CONCURRENCY]


def main() -> None:
    """Read ``{"base_url": ..., "api_key": ...}``, as ``dllm up --detach --json`` prints it, from the argument."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.stack_cost", description=__doc__)
    parser.add_argument("connection", help="what `dllm up --detach --json` printed")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    connection = json.loads(options.connection)
    rows = asyncio.run(compare(connection["base_url"], connection["api_key"], options.threads))
    print(json.dumps([asdict(row) for row in rows], indent=2))


if __name__ == "__main__":
    main()
