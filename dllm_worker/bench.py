"""``python -m dllm_worker.bench``: what the engine does on this machine, as ratios taken side by side in one run.

Throughput: answers of a fixed length (end-of-sequence is suppressed) at 1, 4 and 16 requests in flight. Early exit:
the same Sudokus with one position accepted a step and with the rules that stop sooner.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice

import torch

from dllm_worker.device import use_threads
from dllm_worker.embedded.sudoku.puzzles import Puzzle, puzzles_with
from dllm_worker.engine import Engine, EngineLimits
from dllm_worker.models.checkpoint import resolve_checkpoint
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import Commit, Finish, Request, SamplingParameters, Usage
from dllm_worker.text import Text

CODE, SUDOKU = "embedded:tiny-code", "embedded:tiny-sudoku"
PROMPT = "def read_lines(path):\n"
ANSWER_TOKENS = 96
CONCURRENCY = (1, 4, 16)
PUZZLE_SEED = 20_261_121
GIVENS = 36
HOLE = 0


@dataclass(frozen=True, slots=True)
class Throughput:
    """Committed tokens per second with ``requests`` in flight."""

    requests: int
    tokens_per_second: float
    over_one: float
    milliseconds_per_step: float


@dataclass(frozen=True, slots=True)
class EarlyExit:
    """What a rule spends on an answer, and what share of the answers is right."""

    rule: str
    solved: float
    steps: float
    position_forwards: float
    tokens_per_forward: float


def run(model: LoadedModel, requests: Sequence[Request]) -> tuple[dict[str, list[int]], list[Usage]]:
    """The answers by request and what each has used."""
    engine = Engine(model, EngineLimits(max_running=64, position_budget=4096))
    answers: dict[str, list[int]] = {request.id: [] for request in requests}
    usages: list[Usage] = []
    for request in requests:
        engine.add(request)
    while engine.has_work:
        for event in engine.step():
            if isinstance(event, Commit):
                answers[event.request_id] += event.tokens
            elif isinstance(event, Finish):
                usages.append(event.usage)
    return answers, usages


def throughput(model: LoadedModel, prompt: Sequence[int], sampling: SamplingParameters) -> list[Throughput]:
    """One row for each of ``CONCURRENCY``; every answer has ``ANSWER_TOKENS`` tokens."""
    eos = torch.tensor(model.spec.eos_token_ids, device=model.device)
    endless = replace(model, suppressed=torch.cat((model.suppressed, eos)))
    request = Request("warm-up", tuple(prompt), max_tokens=ANSWER_TOKENS, sampling=sampling)
    run(endless, [request])
    rows: list[Throughput] = []
    for count in CONCURRENCY:
        asked = [replace(request, id=str(i), sampling=replace(sampling, seed=i)) for i in range(count)]
        start = time.perf_counter()
        _, usages = run(endless, asked)
        seconds = time.perf_counter() - start
        rate = count * ANSWER_TOKENS / seconds
        steps = max(usage.forward_passes for usage in usages)
        rows.append(
            Throughput(count, rate, rate / (rows[0].tokens_per_second if rows else rate), 1e3 * seconds / steps)
        )
    return rows


def early_exit(model: LoadedModel, puzzles: Sequence[Puzzle]) -> list[EarlyExit]:
    """The same puzzles by each rule."""
    rules = {
        "one a step": SamplingParameters(algorithm="low_confidence"),
        "one a step, entropy exit 0.05": SamplingParameters(algorithm="low_confidence", entropy_exit=0.05),
        "confidence threshold 0.9": SamplingParameters(threshold=0.9),
        "entropy bound 0.1": SamplingParameters(algorithm="entropy_bound", entropy_bound=0.1),
    }
    return [_exit_row(model, puzzles, name, sampling) for name, sampling in rules.items()]


def _exit_row(model: LoadedModel, puzzles: Sequence[Puzzle], rule: str, sampling: SamplingParameters) -> EarlyExit:
    answers, usages = run(model, [sudoku_request(str(i), p.givens, sampling) for i, p in enumerate(puzzles)])
    solved = sum(answers[str(i)] == [digit - 1 for digit in p.solution] for i, p in enumerate(puzzles))
    return EarlyExit(
        rule=rule,
        solved=solved / len(puzzles),
        steps=sum(usage.denoising_steps for usage in usages) / len(usages),
        position_forwards=sum(usage.position_forwards for usage in usages) / len(usages),
        tokens_per_forward=sum(u.completion_tokens for u in usages) / sum(u.forward_passes for u in usages),
    )


def sudoku_request(identity: str, givens: Sequence[int], sampling: SamplingParameters) -> Request:
    """Holes are 0; token ids are one below their digits."""
    template = tuple(None if digit == HOLE else digit - 1 for digit in givens)
    return Request(identity, template=template, sampling=sampling)


@dataclass(frozen=True, slots=True)
class Result:
    """One run of everything."""

    threads: int
    dtype: str
    throughput: list[Throughput]
    early_exit: list[EarlyExit]
    resident_mebibytes: float


def measure(threads: int, dtype: str, puzzles: int) -> Result:
    """Run everything once; ``puzzles`` is how many each rule gets."""
    use_threads(threads)
    path = resolve_checkpoint(CODE)
    text, code = Text.load(path), load_model(path, dtype)
    prompt = [*text.begin(), *text.encode(PROMPT)]
    grids = list(islice(puzzles_with(GIVENS, PUZZLE_SEED), puzzles))
    sudoku = load_model(resolve_checkpoint(SUDOKU), dtype)
    return Result(
        threads,
        dtype,
        throughput(code, prompt, code.description.defaults),
        early_exit(sudoku, grids),
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def table(rows: Sequence[Throughput] | Sequence[EarlyExit]) -> str:
    """Rows of one kind as a Markdown table."""
    plain = [asdict(row) for row in rows]
    heads = [name.replace("_", " ") for name in plain[0]]
    cells = [[f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values()] for row in plain]
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *cells])


def main() -> None:
    """Print two tables, or with ``--json`` one object."""
    parser = argparse.ArgumentParser(prog="python -m dllm_worker.bench", description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--puzzles", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options.threads, options.dtype, options.puzzles)
    if options.json:
        print(json.dumps(asdict(result), indent=2))
        return
    print(f"\nthroughput\n\n{table(result.throughput)}\n\nearly exit\n\n{table(result.early_exit)}")
    print(f"\nresident memory: {result.resident_mebibytes:.0f} MiB")


if __name__ == "__main__":
    main()
