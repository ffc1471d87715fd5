"""What it costs to keep every request ready to go on elsewhere: tokens per second with checkpoints over those without.

As in a replica, a checkpoint is taken with each commit and after ``EVERY`` steps without one, and its bytes are
written beside the steps; one that has not been written when the next is taken is left out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dllm_worker.bench.answering import limits_for
from dllm_worker.bench.shapes import SMALL_FAMILIES, VOCABULARY, random_model
from dllm_worker.bench.timing import Run, fastest
from dllm_worker.checkpoint import Checkpoint
from dllm_worker.engine import Engine
from dllm_worker.models.checkpoint import resolve_checkpoint
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import Commit, Request, SamplingParameters
from dllm_worker.text import Text

MODEL = "embedded:tiny-code"
PROMPT = "def read_lines(path):\n"
ANSWER_TOKENS, EVERY, REPETITIONS = 96, 4, 2
CONCURRENCY = (1, 16)


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """``over_none`` is the tokens per second with checkpoints over those without, each the fastest of some runs.

    On a CPU they are seconds of processor time, in which the writing counts as if nothing ran beside it. ``share`` is
    how much of the processor time of a run with checkpoints went into taking and writing them.
    """

    model: str
    requests: int
    step_milliseconds: float
    checkpoints_per_token: float
    bytes: int
    share: float
    over_none: float


def checkpointing(dtype: str, device: str) -> list[Checkpointed]:
    """The embedded model, whose steps are short, and a larger one."""
    path = resolve_checkpoint(MODEL)
    tiny, text = load_model(path, dtype, device), Text.load(path)
    sampling = replace(tiny.description.defaults, eos="ignore", leftmost_eos=False)
    prompt = (*text.begin(), *text.encode(PROMPT))
    asked = Request("0", prompt, max_tokens=ANSWER_TOKENS, sampling=sampling)
    rows = [measure("tiny-code", tiny, asked, count) for count in CONCURRENCY]
    larger = random_model({"model_type": "sdar"} | SMALL_FAMILIES["sdar"] | {"block_size": 32}, dtype, device)
    scheduled = SamplingParameters("low_confidence", max_steps=8, eos="ignore")
    asked = Request("0", tuple(range(VOCABULARY // 2)[:64]), max_tokens=ANSWER_TOKENS, sampling=scheduled)
    return rows + [measure("sdar", larger, asked, count) for count in CONCURRENCY]


def measure(name: str, model: LoadedModel, request: Request, count: int) -> Checkpointed:
    """``count`` copies of ``request`` at a time, with checkpoints and without."""
    requests = [replace(request, id=str(i)) for i in range(count)]
    bare, saved = Answered(model, requests), Answered(model, requests, every=EVERY)
    runs: dict[str, Run] = {"without": bare.run, "with": saved.run}
    clock = time.process_time if model.device.type == "cpu" else time.perf_counter
    seconds = fastest(runs, REPETITIONS, model.device, clock)
    return Checkpointed(
        model=name,
        requests=count,
        step_milliseconds=1000 * seconds["without"] / bare.steps,
        checkpoints_per_token=saved.writer.written / (count * request.max_tokens),
        bytes=saved.writer.largest,
        share=saved.share,
        over_none=seconds["without"] / seconds["with"],
    )


class Answered:
    """Answers ``requests`` in every run; with ``every`` they are saved at each commit and after so many steps."""

    def __init__(self, model: LoadedModel, requests: Sequence[Request], every: int | None = None) -> None:
        self.model, self.requests, self.every = model, requests, every
        self.steps = 0
        self.share = 0.0
        self.writer = Writer()

    def run(self) -> None:
        engine, taking, begun = Engine(self.model, limits_for(self.model, self.requests)), 0.0, time.process_time()
        self.writer = Writer()
        for request in self.requests:
            engine.add(request)
        with self.writer:
            while engine.has_work:
                committed = {event.request_id for event in engine.step() if isinstance(event, Commit)}
                if self.every is not None:
                    start = time.thread_time()
                    self._save(engine, committed)
                    taking += time.thread_time() - start
        self.steps = engine.stats().steps
        self.share = (taking + self.writer.seconds) / (time.process_time() - begun)

    def _save(self, engine: Engine, committed: set[str]) -> None:
        for request in self.requests:
            if request.id in committed or engine.usage(request.id).denoising_steps % (self.every or 1) == 0:
                checkpoint = engine.checkpoint(request.id)
                if checkpoint is not None:
                    self.writer.put(checkpoint)


class Writer:
    """A thread that turns the latest checkpoint of each request into bytes."""

    def __init__(self) -> None:
        self.written = self.largest = 0
        self.seconds = 0.0
        self._latest: dict[str, Checkpoint] = {}
        self._news = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        with self._news:
            self._closed = True
            self._news.notify()
        self._thread.join()

    def put(self, checkpoint: Checkpoint) -> None:
        """Have ``checkpoint`` written in place of an older one of its request."""
        with self._news:
            self._latest[checkpoint.request_id] = checkpoint
            self._news.notify()

    def _write(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._latest or self._closed)
                if not self._latest:
                    self.seconds = time.thread_time()
                    return
                taken, self._latest = self._latest, {}
            for checkpoint in taken.values():
                self.largest = max(self.largest, len(checkpoint.to_bytes()))
                self.written += 1
