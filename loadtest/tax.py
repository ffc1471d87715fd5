"""``python -m loadtest.tax``: what a short answer pays for a long canvas, and what the planner saves of it.

*Fixed* is a server with one canvas for all answers, the longest of the pool, which takes every one of its steps;
*early exit* ends it as soon as it is settled. *Planned* is what the gateway asks of the engine: canvases of the
model's own length, the last one cut to what is left. End-of-sequence tokens are ignored, so that an answer has the
length that it is said to have.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from transformers.utils import logging

from deployments.gateway.effort import Effort
from deployments.gateway.plan import Planner
from deployments.gateway.schema import CompletionBody
from dllm_worker.bench.answering import answer
from dllm_worker.models.checkpoint import resolve_checkpoint
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import Request, SamplingParameters
from dllm_worker.text import Text

CODE = "embedded:tiny-code"
PROMPTS = ("def read_lines(path):\n", "class Stack:\n")
LENGTHS = (1, 20, 200)
LONGEST_CANVAS = 256


@dataclass(frozen=True, slots=True)
class Tax:
    """Means over the prompts. ``of_fixed`` is the share of what the fixed canvas takes."""

    way: str
    answer_tokens: int
    steps: float
    position_forwards: float
    of_fixed: float


def taxes(lengths: Sequence[int] = LENGTHS, canvas: int = LONGEST_CANVAS) -> list[Tax]:
    """Each way for each length of the answer. Equal requests are run once."""
    path = resolve_checkpoint(CODE)
    model, text = load_model(path, "float32", "cpu"), Text.load(path)
    rows: list[Tax] = []
    known: dict[tuple[Request, ...], tuple[float, float]] = {}
    for length in lengths:
        usual = model.description.defaults
        stepwise = SamplingParameters("low_confidence")
        ways = {
            "fixed": [_fixed(text, prompt, length, canvas, stepwise) for prompt in PROMPTS],
            "fixed, early exit": [_fixed(text, prompt, length, canvas, usual) for prompt in PROMPTS],
            "planned": [_planned(model, text, prompt, length) for prompt in PROMPTS],
            "planned, effort low": [_planned(model, text, prompt, length, "low") for prompt in PROMPTS],
        }
        fixed = 0.0
        for way, requests in ways.items():
            key = tuple(requests)
            known[key] = steps, positions = known.get(key) or _spent(model, requests)
            fixed = fixed or positions
            rows.append(Tax(way, length, steps, positions, positions / fixed))
    return rows


def _fixed(text: Text, prompt: str, length: int, canvas: int, sampling: SamplingParameters) -> Request:
    """As many whole canvases as hold the answer."""
    whole = -(-length // canvas) * canvas
    tokens = (*text.begin(), *text.encode(prompt))
    return _endless(Request("", prompt=tokens, max_tokens=whole, canvas_length=canvas, sampling=sampling))


def _planned(model: LoadedModel, text: Text, prompt: str, length: int, effort: Effort | None = None) -> Request:
    planner = Planner(model.description, text, length, "", seed=0)
    body = CompletionBody(model="tiny-code", prompt=prompt, max_tokens=length, reasoning_effort=effort)
    return _endless(planner.completion(body).request)


def _endless(request: Request) -> Request:
    return replace(request, sampling=replace(request.sampling, eos="ignore", leftmost_eos=False))


def _spent(model: LoadedModel, requests: Sequence[Request]) -> tuple[float, float]:
    """Denoising steps and position-forwards of an answer."""
    named = [replace(request, id=str(number)) for number, request in enumerate(requests)]
    usages = list(answer(model, named).usages.values())
    steps, positions = (sum(getattr(u, name) for u in usages) for name in ("denoising_steps", "position_forwards"))
    return steps / len(usages), positions / len(usages)


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.tax", description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.disable_progress_bar()
    rows = taxes()
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    print("| answer | way | steps | position-forwards | of the fixed canvas |\n|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row.answer_tokens} | {row.way} | {row.steps:.0f} | {row.position_forwards:,.0f} | {row.of_fixed:.1%} |"
        )


if __name__ == "__main__":
    main()
