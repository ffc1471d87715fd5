"""Times of canvases, as a reader hears them who looks once, when all is over."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.replica.canvases import MOST_SUMMARIES
from deployments.replica.mailbox import Mailbox, News
from deployments.replica.runs import Runs
from deployments.run import CanvasTimes, Run
from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import Algorithm, Commit, Finish, Request, SamplingParameters
from tests.dllm_worker.models import families
from tests.dllm_worker.simulated import devices

Make = Callable[[], Any]
STEP_SECONDS = 0.5
SCHEDULED = SamplingParameters("low_confidence", max_steps=4, eos="ignore")
LONG = Request("a", (5,) * 20, max_tokens=28, sampling=SCHEDULED)


@pytest.fixture(params=["computed", "simulated"])
def make(request: pytest.FixtureRequest) -> Make:
    if request.param == "simulated":
        return devices.engine
    model: LoadedModel = request.getfixturevalue("model")
    return lambda: Engine(model, EngineLimits())


class Replica:
    """Runs over an engine, whose steps take half a second each."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.runs, self.now = engine, Runs(engine, 8, checkpoint_every=2), 100.0

    async def hear(self, run: Run, steps: int | None = None) -> News:
        """All that is told of ``run``, which is parked after so many steps."""
        mailbox = Mailbox()
        checkpoint = None if run.checkpoint is None else self.engine.read_checkpoint(run.checkpoint)
        self.runs.add(run, checkpoint, mailbox)
        for _ in range(steps if steps is not None else 10_000):
            if not self.engine.has_work:
                break
            self.runs.deliver(self.engine.step(), self.now, self.now + STEP_SECONDS)
            self.now += STEP_SECONDS
        self.runs.drain()
        news = await mailbox.take()
        assert news.last
        return news


def hear(engine: Any, run: Run, steps: int | None = None) -> News:
    async def listen() -> News:
        return await Replica(engine).hear(run, steps)

    return asyncio.run(listen())


def committed(news: News) -> int:
    return sum(len(event.tokens) for event in news.events if isinstance(event, Commit))


def finish(news: News) -> Finish:
    assert isinstance(news.events[-1], Finish)
    return news.events[-1]


def test_every_canvas_is_told_with_its_steps_and_times(make: Make) -> None:
    canvases = hear(make(), Run(LONG)).canvases
    assert [canvas.index for canvas in canvases] == [0, 1, 2, 3]
    assert [canvas.length for canvas in canvases] == [8] * 4
    assert [canvas.steps for canvas in canvases] == [4] * 4
    assert [canvas.committed for canvas in canvases] == [4, 8, 8, 8]
    assert all(canvas.ended for canvas in canvases)
    assert [canvas.seconds for canvas in canvases] == [4 * STEP_SECONDS] * 4


def test_steps_times_and_work_add_up_to_those_of_the_request(make: Make) -> None:
    news = hear(make(), Run(LONG))
    usage, canvases = finish(news).usage, news.canvases
    assert sum(canvas.steps for canvas in canvases) == usage.denoising_steps
    assert sum(canvas.position_forwards for canvas in canvases) == usage.position_forwards
    assert sum(canvas.prefill + canvas.seconds for canvas in canvases) == usage.forward_passes * STEP_SECONDS


def test_summaries_say_how_far_a_canvas_is_after_a_step(make: Make) -> None:
    (first, *_) = hear(make(), Run(LONG)).canvases
    assert [(number, seconds) for number, seconds, _ in first.summaries] == [
        (number, number * STEP_SECONDS) for number in (1, 2, 3, 4)
    ]
    told = [committed for _, _, committed in first.summaries]
    assert told == sorted(told)
    assert told[-1] == first.committed


def test_of_a_canvas_with_many_steps_some_are_told() -> None:
    many = replace(LONG, canvas_length=64, max_tokens=44, sampling=replace(SCHEDULED, max_steps=44))
    (canvas,) = hear(devices.engine(), Run(many)).canvases
    assert canvas.steps == 44
    numbers = [number for number, _, _ in canvas.summaries]
    assert MOST_SUMMARIES / 2 <= len(numbers) <= MOST_SUMMARIES
    assert len({later - earlier for earlier, later in itertools.pairwise(numbers)}) == 1


def test_a_template_is_one_canvas(make: Make) -> None:
    filled = Request("a", (5, 6), template=(None, 9, None, None, 7) * 3, sampling=SCHEDULED)
    (canvas,) = hear(make(), Run(filled)).canvases
    assert (canvas.index, canvas.ended, canvas.committed) == (0, True, 15)


def test_a_run_that_never_started_tells_of_no_canvas(make: Make) -> None:
    assert hear(make(), Run(LONG), steps=0).canvases == []


@pytest.mark.parametrize(
    ("algorithm", "family"),
    [
        ("pipelined", "a2d-qwen3"),
        ("renoise", "diffusion_gemma"),
        ("linear_speculation", "nemotron_labs_diffusion"),
        ("autoregressive", "nemotron_labs_diffusion"),
    ],
)
def test_algorithms_without_one_canvas_after_the_other_lose_no_step(
    tmp_path: Path, algorithm: Algorithm, family: str
) -> None:
    model = load_model(families.write(tmp_path, families.CONFIGS[family]))
    asked = replace(LONG, sampling=SamplingParameters(algorithm, eos="ignore"))
    news = hear(Engine(model), Run(asked))
    assert [canvas.index for canvas in news.canvases] == list(range(len(news.canvases)))
    assert len(news.canvases) <= asked.max_tokens / 4
    assert sum(canvas.steps for canvas in news.canvases) == finish(news).usage.denoising_steps
    assert sum(canvas.committed for canvas in news.canvases) == committed(news) == asked.max_tokens


@settings(max_examples=40, deadline=None)
@given(prompt=st.integers(1, 30), tokens=st.integers(1, 40), most=st.integers(1, 12), cuts=st.lists(st.integers(0, 9)))
def test_a_request_that_moves_about_is_told_whole(prompt: int, tokens: int, most: int, cuts: list[int]) -> None:
    """Each run tells of what it has done; the last part of a canvas says that it has ended, and only that."""
    asked = Request("a", (5,) * prompt, max_tokens=tokens, sampling=replace(SCHEDULED, max_steps=most))
    run, told, text = Run(asked), list[CanvasTimes](), 0
    for steps in [*cuts, None]:
        news = hear(devices.engine(), run, steps)
        told += news.canvases
        text += committed(news)
        if not news.parked:
            break
        if news.checkpoint is not None:
            run = replace(run, epoch=run.epoch + 1, checkpoint=news.checkpoint.to_bytes(), committed=text)
    usage = finish(news).usage
    assert sum(canvas.steps for canvas in told) == usage.denoising_steps
    assert sum(canvas.position_forwards for canvas in told) == usage.position_forwards
    assert sum(canvas.committed for canvas in told) == text == tokens
    assert [canvas.index for canvas in told if canvas.ended] == list(range(usage.canvases))
    assert [canvas.index for canvas in told] == sorted(canvas.index for canvas in told)
