from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.errors import NoReplica
from deployments.gateway.assembler import Done, Output
from deployments.gateway.canvas import CanvasFrame
from deployments.gateway.choices import choice_of, choice_seed, choices_of, merged
from deployments.gateway.pieces import Hole
from deployments.gateway.plan import Plan
from deployments.gateway.writer import Delta
from dllm_worker.ranges import SAMPLING
from dllm_worker.request import Request, SamplingParameters, Usage

Batch = tuple[Output, ...]
DONE = Done("stop", 4, 6, Usage(position_forwards=9))


class Source:
    """A stream of ``batches``, which ends, fails, or waits for ever."""

    def __init__(self, *batches: Batch, then: Exception | None = None, endless: bool = False) -> None:
        self._batches, self._then, self._endless = batches, then, endless
        self.closed = False

    async def stream(self) -> AsyncGenerator[Batch]:
        try:
            for batch in self._batches:
                await asyncio.sleep(0)
                yield batch
            if self._then is not None:
                raise self._then
            if self._endless:
                await asyncio.get_running_loop().create_future()
        finally:
            self.closed = True


async def collected(sources: Sequence[Source]) -> list[Batch]:
    async with aclosing(merged([source.stream() for source in sources])) as outputs:
        return [batch async for batch in outputs]


async def test_each_output_has_the_choice_of_its_stream() -> None:
    frame = CanvasFrame(0, 1, 4, 1, 0, 2, 3, text="ab")
    told = await collected([Source((), (Delta("a", 0),)), Source((frame, Delta("b", 0)), (DONE,))])
    assert () in told
    outputs = [output for batch in told for output in batch]
    assert sorted((output.choice, type(output).__name__) for output in outputs) == [
        (0, "Delta"),
        (1, "CanvasFrame"),
        (1, "Delta"),
        (1, "Done"),
    ]


async def test_one_stream_is_passed_on_as_it_is() -> None:
    batches = ((), (Delta("a", 0), Delta("b", 0)), (DONE,))
    assert tuple(await collected([Source(*batches)])) == batches


async def test_the_first_error_ends_all() -> None:
    sources = [Source((Delta("a", 0),), endless=True), Source(then=NoReplica("gone")), Source(endless=True)]
    with pytest.raises(NoReplica, match="gone"):
        await collected(sources)
    assert all(source.closed for source in sources)


@pytest.mark.parametrize("count", [1, 3])
async def test_who_leaves_closes_all(count: int) -> None:
    sources = [Source((Delta("a", 0),), endless=True) for _ in range(count)]
    outputs = merged([source.stream() for source in sources])
    await anext(outputs)
    await outputs.aclose()
    assert all(source.closed for source in sources)


@given(st.lists(st.lists(st.text("ab", min_size=1, max_size=3), max_size=4), min_size=1, max_size=4))
async def test_the_choices_are_those_of_the_streams(texts: list[list[str]]) -> None:
    sources = [Source(*((Delta(text, 0),) for text in row), (DONE,)) for row in texts]
    choices = choices_of([output for batch in await collected(sources) for output in batch])
    assert [choice.index for choice in choices] == list(range(len(texts)))
    assert [[delta.text for delta in choice.deltas] for choice in choices] == texts
    assert {(choice.done.reason, choice.done.completion_tokens) for choice in choices} == {("stop", 6)}


def test_the_first_choice_is_the_answer_without_n() -> None:
    plan = Plan(Request("r", prompt=(5,), max_tokens=8, sampling=SamplingParameters(seed=7)), (Hole(8),))
    assert choice_of(plan, 0) is plan
    third = choice_of(plan, 2)
    assert (third.request.id, third.request.prompt, third.pieces) == ("r.2", (5,), plan.pieces)
    assert third.request.sampling.seed == choice_seed(7, 2)


def test_the_seeds_of_the_choices_are_settled() -> None:
    assert [choice_seed(7, choice) for choice in range(3)] == [7, 3825955368494240696, 4910021442178799501]


@given(st.integers(-(2**63), 2**63 - 1))
def test_all_choices_have_a_seed_of_their_own_in_the_range(seed: int) -> None:
    seeds = [choice_seed(seed, choice) for choice in range(16)]
    assert len(set(seeds)) == len(seeds)
    assert all(SAMPLING["seed"].holds(value) for value in seeds)
