"""A simulated engine: real scheduling over a device that only passes the time.

It plans with the engine's planner, takes as long for each step as its device states, and answers with tokens that
mean nothing. All around an engine can be tried and measured on it without a model or an accelerator. Needs no torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from dllm_worker.capabilities import CapabilityError
from dllm_worker.interface import CheckpointError, EngineLimits, EngineLoad, EngineStats, fingerprint
from dllm_worker.request import Event, Finish, Request, RequestError, Usage
from dllm_worker.scheduling.planner import PlannedRows, plan
from dllm_worker.scheduling.prospect import Prospect
from dllm_worker.simulated.admission import SimulatedAdmission
from dllm_worker.simulated.checkpoint import SimulatedCheckpoint
from dllm_worker.simulated.course import ordinary_tokens
from dllm_worker.simulated.device import FLOPS_PER_POSITION, SimulatedDevice
from dllm_worker.simulated.running import Simulation
from dllm_worker.spec import ModelSpec
from dllm_worker.tally import Tally
from dllm_worker.validate import validate


class SimulatedEngine:
    """What :class:`dllm_worker.engine.Engine` is to those who drive it.

    ``sleep`` passes the seconds of a step; ``observe`` is told the position-forwards of each.
    """

    def __init__(
        self,
        spec: ModelSpec,
        device: SimulatedDevice,
        limits: EngineLimits | None = None,
        sleep: Callable[[float], None] = time.sleep,
        observe: Callable[[int], None] | None = None,
    ) -> None:
        self.spec, self.device, self.limits = spec, device, limits or EngineLimits()
        self._sleep, self._observe = sleep, observe
        self._vocabulary = ordinary_tokens(spec)
        self._admission = SimulatedAdmission.of(spec, self.limits.max_running, self.limits.cache_positions)
        self._prospect = Prospect(spec, self.limits)
        self._steps = 0
        self._tally = Tally()

    def add(self, request: Request) -> None:
        """Queue a request; :class:`RequestError` when this model or engine can never run it."""
        self._queue(request, None)

    def resume(self, request: Request, checkpoint: SimulatedCheckpoint) -> None:
        """Queue a request that was parked, here or elsewhere; it goes on at the step it had reached.

        Raises :class:`RequestError`, and :class:`CheckpointError` for the checkpoint of another request.
        """
        if checkpoint.fingerprint != fingerprint(request):
            raise CheckpointError(f"the checkpoint of {checkpoint.request_id} belongs to another request")
        self._queue(request, checkpoint)

    def read_checkpoint(self, data: bytes) -> SimulatedCheckpoint:
        """The checkpoint in ``data``; :class:`CheckpointError` when there is none."""
        return SimulatedCheckpoint.from_bytes(data)

    def checkpoint(self, request_id: str) -> SimulatedCheckpoint | None:
        """A running request as it is, which runs on; ``None`` when it does not run."""
        running = self._admission.find_running(request_id)
        return None if running is None else running.checkpoint()

    def park(self, request_id: str) -> SimulatedCheckpoint | None:
        """Take a request out as a value; ``None`` when it has not started or is not here."""
        simulation = self._admission.find(request_id)
        if simulation is None or not (self.admitted(request_id) or simulation.usage.forward_passes):
            return None
        self._admission.forget(request_id)
        return simulation.checkpoint()

    def conclude(self, request_id: str) -> Finish | None:
        """End a request with the canvas it has; see :meth:`dllm_worker.interface.StepEngine.conclude`."""
        running = self._admission.find_running(request_id)
        if running is None or running.is_untouched:
            forgotten = self._admission.forget(request_id)
            return None if forgotten is None else Finish(request_id, "deadline", forgotten.usage)
        running.concluding = True
        return None

    def abort(self, request_id: str) -> Finish | None:
        """Forget a request at once; returns what it has used, or ``None`` when it is not here."""
        forgotten = self._admission.forget(request_id)
        return None if forgotten is None else Finish(request_id, "abort", forgotten.usage)

    @property
    def has_work(self) -> bool:
        return bool(self._admission.running or self._admission.waiting)

    def admitted(self, request_id: str) -> bool:
        """Whether the request has left the queue for the batch."""
        return request_id in self._admission.running

    def at_boundary(self, request_id: str) -> bool:
        """Whether a running request stands between two canvases."""
        running = self._admission.find_running(request_id)
        return running is not None and running.is_at_boundary

    def usage(self, request_id: str) -> Usage:
        """What a request that runs or waits has used since its start; nothing when it is not here."""
        simulation = self._admission.find(request_id)
        return Usage() if simulation is None else simulation.usage

    def load(self) -> EngineLoad:
        """What is still to be done, and what is cached."""
        reached = [(simulation.request, simulation.reached) for simulation in self._admission.everyone]
        return EngineLoad(
            free_places=max(0, self.limits.max_running - len(reached)),
            backlog=self._prospect.backlog(reached),
            refresh_due=self._prospect.refresh_due(reached),
            prefixes=self._admission.shelf.hashes,
        )

    def stats(self) -> EngineStats:
        """Counters and gauges as of the last step."""
        return EngineStats(
            running=len(self._admission.running),
            waiting=len(self._admission.waiting),
            free_pages=self._admission.free_pages,
            pages=self._admission.pages,
            steps=self._steps,
            position_forwards=self._tally.position_forwards,
            reused_positions=self._admission.reused_positions,
            preemptions=self._admission.preemptions,
            flops=self._tally.flops,
            bytes=self._tally.bytes,
            kinds=dict(self._tally.kinds),
        )

    def check_integrity(self) -> None:
        """Raise :class:`RuntimeError` when places, pages and requests do not add up."""
        self._admission.check_integrity()

    def step(self) -> list[Event]:
        """Admit who fits, let one pass's time go by, return what became of it. Without work it returns nothing."""
        self._admission.admit(self._steps)
        running = self._admission.running
        planned = plan([place.simulation.progress.demand for place in running.values()], self.limits.step_budget)
        if not planned:
            return []
        self._steps += 1
        positions = sum(rows.positions for rows in planned)
        self._count(planned)
        self._sleep(self.device.seconds(positions, len(planned)))
        if self._observe is not None:
            self._observe(positions)
        events = [event for rows in planned for event in running[rows.request_id].simulation.serve(rows, self._steps)]
        for event in events:
            if isinstance(event, Finish):
                self._prospect.learn(event.usage)
                self._admission.forget(event.request_id)
        return events

    def _count(self, planned: tuple[PlannedRows, ...]) -> None:
        for rows in planned:
            self._tally.kinds[rows.kind] += rows.positions
            self._tally.flops += rows.positions * FLOPS_PER_POSITION
        self._tally.bytes += self.device.bytes

    def _queue(self, request: Request, checkpoint: SimulatedCheckpoint | None) -> None:
        validate(request, self.spec)
        _refuse_what_needs_a_model(request)
        if self._admission.find(request.id) is not None:
            raise RequestError(f"request id {request.id!r} is in use", "id")
        if self._admission.pages_of(request) > self._admission.pages:
            raise RequestError("the request needs more cache than this engine has", "prompt")
        self._admission.queue(Simulation.start(request, self.spec, self._vocabulary, self.device, checkpoint))


def _refuse_what_needs_a_model(request: Request) -> None:
    if request.logprobs is not None:
        raise CapabilityError("a simulated device draws its tokens without probabilities", "logprobs")
    if request.prediction:
        raise CapabilityError("a simulated device agrees with no prediction", "prediction")
