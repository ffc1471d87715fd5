"""Where plans are made: those of long texts beside the event loop, on which all tenants wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from deployments.gateway.plan import Plan, Planner
from dllm_worker.text import Text

LONG_BYTES = 16 << 10
"""Of a request, as it was sent. A tokenizer reads a mebibyte in some 0.8 s, and so much in 12 ms."""


class LongTexts:
    """Reads long texts of one model, one at a time, with a tokenizer of its own: one is not to be used by two threads.

    A tokenizer lets go of the interpreter while it reads, so that the event loop goes on.
    """

    def __init__(self) -> None:
        self._text: Text | None = None
        self._thread = ThreadPoolExecutor(1, "long-texts")

    async def plan(self, planner: Planner, make: Callable[[Planner], Plan]) -> Plan:
        """What ``make`` makes with ``planner``; raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._made, planner, make)

    def _made(self, planner: Planner, make: Callable[[Planner], Plan]) -> Plan:
        if self._text is None:
            self._text = planner.text.copy()
        return make(replace(planner, text=self._text))


async def planned(planner: Planner, make: Callable[[Planner], Plan], size: int, long: LongTexts) -> Plan:
    """The plan of a request of ``size`` bytes. Raises what ``make`` raises."""
    return make(planner) if size < LONG_BYTES else await long.plan(planner, make)
