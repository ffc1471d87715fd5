"""How busy a device's arithmetic is, as a share of its measured peak, and how busy it can get with a model.

A model's plateau lies below the peak: a step also reads weights, attends, samples and is prepared. It is found by a
self-test on an engine that is used for nothing else. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Any

from dllm_worker.cache.prefix import page_size_of
from dllm_worker.canvas import streams, total_length
from dllm_worker.interface import EngineLimits, StepEngine
from dllm_worker.request import CacheParameters, Finish, Request, SamplingParameters
from dllm_worker.spec import ModelSpec

CANVASES = 4
"""Of the answer to each request of a self-test, where the context has room for as many."""

WARM_UP, STEPS = 1, 64
"""Steps of a self-test that do not count, and the most that do, however fast they are."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Copies of one request that fill each step of an engine, and the limits of one that has just room for them."""

    request: Request
    count: int
    limits: EngineLimits

    @staticmethod
    def of(
        spec: ModelSpec, sampling: SamplingParameters, cache: CacheParameters, limits: EngineLimits, longest: int
    ) -> Crowd:
        """As many canvases of the model's own length as ``limits`` let an engine denoise in a step, but at least one.

        They are no longer than ``longest``. Ends of sequence are tokens like others.
        """
        length = min(spec.canvas_length, longest)
        canvases = max(1, min(CANVASES, spec.max_position // length - 1))
        prompt = min(length, spec.max_position - canvases * length)
        request = Request(
            "",
            prompt=(_ordinary_token(spec),) * prompt,
            max_tokens=canvases * length,
            canvas_length=None if length == spec.canvas_length else length,
            sampling=replace(sampling, eos="ignore", leftmost_eos=False),
            cache=cache,
        )
        page = page_size_of(spec)
        each = -(-total_length(request) // page) * page * streams(request)
        rooms = (limits.max_running, limits.position_budget // length, limits.cache_positions // each)
        count = max(1, min(rooms))
        return Crowd(request, count, replace(limits, cache_positions=count * each))


def _ordinary_token(spec: ModelSpec) -> int:
    special = {*spec.eos_token_ids, *spec.suppressed_token_ids, spec.mask_token_id}
    return next(token for token in range(spec.vocab_size) if token not in special)


@dataclass(frozen=True, slots=True)
class Trial:
    """An ``engine`` for a self-test, which leaves it empty, and the ``crowd`` that fills it.

    The device does at most ``peak`` operations in a second of ``clock``, which waits for what it was given to do.
    """

    engine: StepEngine[Any]
    crowd: Crowd
    peak: float
    clock: Callable[[], float]

    def plateau(self, seconds: float, begin: Callable[[], None] = lambda: None) -> float:
        """The tensor activity of a full engine, from as many steps as fit into ``seconds``, one at the least.

        ``begin`` is called before the first of them, after ``WARM_UP`` others. 0 where the peak has no bound.
        """
        started = self.clock()
        running: set[str] = set()
        names = (str(number) for number in count())
        for _ in range(WARM_UP):
            self._step(running, names)
        begin()
        flops, begun = self.engine.stats().flops, self.clock()
        for _ in range(STEPS):
            self._step(running, names)
            ended = self.clock()
            if ended - started >= seconds:
                break
        flops = self.engine.stats().flops - flops
        for name in running:
            self.engine.abort(name)
        self.engine.check_integrity()
        return flops / (ended - begun) / self.peak

    def _step(self, running: set[str], names: Iterator[str]) -> None:
        """One step of a full engine. To queue requests takes little of its time, which counts."""
        for name in islice(names, self.crowd.count - len(running)):
            self.engine.add(replace(self.crowd.request, id=name))
            running.add(name)
        running -= {event.request_id for event in self.engine.step() if isinstance(event, Finish)}
