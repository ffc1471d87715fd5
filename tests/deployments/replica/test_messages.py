from __future__ import annotations

import asyncio
import threading

from deployments.replica.mailbox import News
from deployments.replica.messages import REPEAT_SECONDS, Messages
from deployments.run import Figures, Progress


class Value:
    """A checkpoint that knows in which thread it was written."""

    def __init__(self, *, large: bool) -> None:
        self.is_large = large
        self.thread = 0

    def to_bytes(self) -> bytes:
        self.thread = threading.get_ident()
        return b"value"


async def test_the_first_message_names_the_replica_and_brings_its_figures() -> None:
    figures = Figures(free_places=3)
    messages = Messages("r1", lambda: figures, lambda: 0.0)
    assert await messages.of(News()) == Progress(admitted=False, replica="r1", figures=figures)
    assert await messages.of(News(admitted=True)) == Progress()


async def test_figures_come_again_when_they_change_or_grow_old() -> None:
    now, figures = 0.0, Figures()
    messages = Messages("r1", lambda: figures, lambda: now)
    assert (await messages.of(News())).figures is figures
    assert (await messages.of(News())).figures is None
    figures = Figures(backlog=5)
    assert (await messages.of(News())).figures is figures
    now = REPEAT_SECONDS
    assert (await messages.of(News())).figures is figures
    assert (await messages.of(News())).figures is None


async def test_large_checkpoints_are_written_beside_the_loop() -> None:
    messages = Messages("r1", Figures, lambda: 0.0)
    small, large = Value(large=False), Value(large=True)
    for value in (small, large):
        progress = await messages.of(News(checkpoint=value, boundary=True, parked=True))
        assert (progress.checkpoint, progress.boundary, progress.parked) == (b"value", True, True)
    assert small.thread == threading.get_ident() != large.thread
    await asyncio.sleep(0)
