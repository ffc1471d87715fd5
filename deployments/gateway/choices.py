"""Several answers to one request, each an execution of its own.

The first choice is the answer that the same request without ``n`` gets, and the seed of each further one follows from
that of the first: the same request with the same seed gets the same choices, whatever else runs.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from deployments.gateway.assembler import Done, Output
from deployments.gateway.pacing import to_its_end
from deployments.gateway.plan import Plan
from deployments.gateway.writer import Delta

Outputs = AsyncGenerator[tuple[Output, ...]]
Told = tuple[Output, ...] | Exception | None


@dataclass(frozen=True, slots=True)
class Choice:
    """One whole answer."""

    index: int
    deltas: tuple[Delta, ...]
    done: Done


def choices_of(outputs: Sequence[Output]) -> list[Choice]:
    """The answers that ``outputs``, which are all there are, make up."""
    deltas = [output for output in outputs if isinstance(output, Delta)]
    ends = sorted((output for output in outputs if isinstance(output, Done)), key=lambda done: done.choice)
    return [Choice(done.choice, tuple(delta for delta in deltas if delta.choice == done.choice), done) for done in ends]


def choice_of(plan: Plan, choice: int) -> Plan:
    """The plan of the ``choice``-th answer: as the first one, with an id and a seed of its own."""
    if choice == 0:
        return plan
    sampling = replace(plan.request.sampling, seed=choice_seed(plan.request.sampling.seed, choice))
    return replace(plan, request=replace(plan.request, id=f"{plan.request.id}.{choice}", sampling=sampling))


def choice_seed(seed: int, choice: int) -> int:
    """``seed`` itself for the first choice, for others 63 bits of the SHA-256 of ``"<seed> <choice>"`` in decimal."""
    if choice == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed} {choice}".encode()).digest()[:8], "big") >> 1


async def merged(streams: Sequence[Outputs]) -> Outputs:
    """The outputs of several executions as they come, each with the index of its stream as its choice.

    The first error ends all of them. However this ends, all ``streams`` are closed.
    """
    if len(streams) == 1:
        async with aclosing(streams[0]) as only:
            async for batch in only:
                yield batch
        return
    news: asyncio.Queue[Told] = asyncio.Queue()
    readers = [asyncio.create_task(_read(stream, index, news)) for index, stream in enumerate(streams)]
    try:
        reading = len(readers)
        while reading:
            told = await news.get()
            if isinstance(told, Exception):
                raise told
            if told is None:
                reading -= 1
            else:
                yield told
    finally:
        await to_its_end(_close(readers, streams))


async def _read(stream: Outputs, choice: int, news: asyncio.Queue[Told]) -> None:
    try:
        async for batch in stream:
            news.put_nowait(tuple(replace(output, choice=choice) for output in batch))
        news.put_nowait(None)
    except Exception as error:
        news.put_nowait(error)


async def _close(readers: Sequence[asyncio.Task[None]], streams: Sequence[Outputs]) -> None:
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    await asyncio.gather(*(stream.aclose() for stream in streams))
