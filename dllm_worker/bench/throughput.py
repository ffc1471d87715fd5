"""Committed tokens per second: by the number of requests, over a plain loop, over an autoregressive decoder of the
same weights, and as a share of what the roofline allows.

Answers have a fixed length: an end of sequence is a token like others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dllm_worker.bench.answering import Answers, answer, work_of
from dllm_worker.bench.ceilings import CeilingRuns
from dllm_worker.bench.reference import continue_prompt
from dllm_worker.bench.timing import Run, fastest
from dllm_worker.models.checkpoint import resolve_checkpoint
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import Request
from dllm_worker.text import Text

MODEL = "embedded:tiny-code"
PROMPT = "def read_lines(path):\n"
ANSWER_TOKENS = 96
CONCURRENCY = (1, 4, 16, 64)
REPETITIONS = 2


@dataclass(frozen=True, slots=True)
class Throughput:
    """One decoder with ``requests`` in flight. ``over_one`` is over the same decoder with one request.

    ``of_roofline`` is the share of the tokens per second that the ceilings allow for the work of the same passes.
    ``equal_answers`` is the share of answers that are token by token those of the plain loop.
    """

    decoder: str
    requests: int
    tokens_per_second: float
    over_one: float
    over_plain_loop: float
    tokens_per_forward: float | None = None
    of_roofline: float | None = None
    equal_answers: float | None = None


def throughput(dtype: str, device: str) -> list[Throughput]:
    """The plain loop, then diffusion and autoregressive decoding at each of ``CONCURRENCY``."""
    path = resolve_checkpoint(MODEL)
    model, text = load_model(path, dtype, device), Text.load(path)
    sampling = replace(model.description.defaults, eos="ignore", leftmost_eos=False)
    prompt = (*text.begin(), *text.encode(PROMPT))
    diffusion = Request("0", prompt, max_tokens=ANSWER_TOKENS, sampling=sampling)
    autoregressive = replace(diffusion, sampling=replace(sampling, algorithm="autoregressive"))
    return measure(model, {"diffusion": diffusion, "autoregressive": autoregressive}, CONCURRENCY)


def measure(model: LoadedModel, decoders: Mapping[str, Request], concurrency: Sequence[int]) -> list[Throughput]:
    """Time each decoder's request, ``concurrency`` copies at a time, beside the plain loop and the ceilings."""
    first, request = next(iter(decoders.items()))
    machine = CeilingRuns(model.dtype, model.device)
    crowds = [Crowd(model, name, one, count) for name, one in decoders.items() for count in concurrency]
    runs: dict[str, Run] = {"plain loop": lambda: plain_loop(model, request)}
    runs |= machine.runs | {crowd.label: crowd.run for crowd in crowds}
    seconds = fastest(runs, REPETITIONS, model.device)
    ceilings, plain = machine.ceilings(seconds), request.max_tokens / seconds["plain loop"]
    expected = plain_loop(model, request)
    alone: dict[str, float] = {}
    rows = [Throughput("plain loop", 1, plain, 1.0, 1.0)]
    for crowd in crowds:
        taken, answers = seconds[crowd.label], crowd.answers
        rate = answers.count / taken
        rows.append(
            Throughput(
                decoder=crowd.decoder,
                requests=crowd.count,
                tokens_per_second=rate,
                over_one=rate / alone.setdefault(crowd.decoder, rate),
                over_plain_loop=rate / plain,
                tokens_per_forward=answers.tokens_per_forward,
                of_roofline=sum(ceilings.seconds(work) for work in work_of(model, crowd.requests)) / taken,
                equal_answers=answers.equal_to(expected) if crowd.decoder == first else None,
            )
        )
    return rows


class Crowd:
    """``count`` copies of one request, answered together in every run."""

    def __init__(self, model: LoadedModel, decoder: str, request: Request, count: int) -> None:
        self.model, self.decoder, self.count = model, decoder, count
        self.requests = [replace(request, id=str(i)) for i in range(count)]
        self.answers = Answers()

    @property
    def label(self) -> str:
        return f"{self.decoder} x {self.count}"

    def run(self) -> None:
        self.answers = answer(self.model, self.requests)


def plain_loop(model: LoadedModel, request: Request) -> list[int]:
    """The answer of the reference loop."""
    return continue_prompt(model, request.prompt, request.max_tokens, request.sampling.threshold)
