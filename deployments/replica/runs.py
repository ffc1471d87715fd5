"""The runs in one engine, and what each reader is to hear of them. All of it happens in the engine's thread."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deployments.errors import (
    DeadlineExceeded,
    Draining,
    InternalError,
    InvalidRequest,
    Overloaded,
    ReplicaLost,
    ServingError,
)
from deployments.replica.canvases import Canvases
from deployments.replica.mailbox import Mailbox
from deployments.run import CanvasTimes, Run
from dllm_worker.interface import CheckpointError, Portable, StepEngine
from dllm_worker.request import Commit, Event, Finish, RequestError, Usage


@dataclass(slots=True)
class _Seat:
    """A run in the engine. ``saved`` of its request's denoising steps are in its last checkpoint."""

    run: Run
    mailbox: Mailbox
    canvases: Canvases
    saved: int
    admitted: bool = False


class Runs:
    """At most ``max_waiting`` wait for a place. A running one is saved with each commit and, between commits, each
    ``checkpoint_every`` of its denoising steps.
    """

    def __init__(self, engine: StepEngine[Any], max_waiting: int, checkpoint_every: int) -> None:
        self._engine = engine
        self._max_waiting, self._checkpoint_every = max_waiting, checkpoint_every
        self._seats: dict[str, _Seat] = {}
        self._closed = False

    def add(self, run: Run, checkpoint: Portable | None, mailbox: Mailbox) -> None:
        """Queue ``run`` in the engine, or tell its reader why not."""
        refusal = self._refusal(run)
        if refusal is not None:
            mailbox.put(error=refusal)
            return
        try:
            if checkpoint is None:
                self._engine.add(run.request)
            else:
                self._engine.resume(run.request, checkpoint)
        except RequestError as error:
            mailbox.put(error=InvalidRequest(str(error), parameter=error.parameter))
        except CheckpointError as error:
            mailbox.put(error=InternalError(f"The request cannot go on: {error}."))
        else:
            self._seats[run.request.id] = self._seat(run, checkpoint, mailbox)
            mailbox.put()

    def abort(self, request_id: str, mailbox: Mailbox) -> None:
        """Forget the run of this reader."""
        seat = self._seats.get(request_id)
        if seat is not None and seat.mailbox is mailbox:
            del self._seats[request_id]
            self._engine.abort(request_id)

    @property
    def traces(self) -> list[str]:
        """The ``traceparent`` of each run that is recorded and has had a place in the batch."""
        recorded = [seat for seat in self._seats.values() if seat.run.trace]
        return [seat.run.trace for seat in recorded if seat.admitted or self._engine.admitted(seat.run.request.id)]

    def deliver(self, events: Sequence[Event], began: float, ended: float) -> None:
        """Pass on what became of a step from ``began`` to ``ended``, in seconds of any clock."""
        by_request: defaultdict[str, list[Event]] = defaultdict(list)
        for event in events:
            by_request[event.request_id].append(event)
        for request_id, seat in list(self._seats.items()):
            own = by_request.get(request_id, [])
            if not seat.admitted and (own or self._engine.admitted(request_id)):
                seat.admitted = True
                seat.canvases.admit(began)
                seat.mailbox.put(admitted=True)
            if seat.admitted:
                self._tell(seat, own, began, ended)

    def meet_deadlines(self, now: float) -> None:
        """Requests whose time is over end with the canvas they have, or, if none was begun, with an error."""
        for request_id, seat in list(self._seats.items()):
            deadline = seat.run.request.deadline
            if deadline is None or now < deadline:
                continue
            finish = self._engine.conclude(request_id)
            if finish is not None and finish.usage.denoising_steps:
                self._end(seat, [finish], seat.canvases.leave())
            elif finish is not None:
                self._refuse(seat, DeadlineExceeded())

    def drain(self) -> None:
        """Park whatever runs or waits, and take no more."""
        self._closed = True
        for seat in list(self._seats.values()):
            self._park(seat, [], [])

    def fail(self) -> None:
        """The engine has ended: nothing goes on here."""
        self._closed = True
        for seat in list(self._seats.values()):
            self._refuse(seat, ReplicaLost("The engine failed before the request was finished."))

    def _refusal(self, run: Run) -> ServingError | None:
        """Why ``run`` is not taken. A later run of a request replaces an earlier one, never the other way round."""
        if self._closed:
            return Draining("The replica takes no more requests.")
        earlier = self._seats.get(run.request.id)
        if earlier is not None and earlier.run.epoch >= run.epoch:
            return InternalError("A later run of this request is under way.")
        if earlier is not None:
            self._engine.abort(run.request.id)
            self._refuse(earlier, InternalError("A later run of this request is under way."))
        if self._engine.stats().waiting >= self._max_waiting:
            return Overloaded(f"{self._max_waiting} requests wait already.")
        return None

    def _seat(self, run: Run, checkpoint: Portable | None, mailbox: Mailbox) -> _Seat:
        usage = self._engine.usage(run.request.id)
        committed = 0 if checkpoint is None else run.committed
        canvases = Canvases(run.request, self._engine.spec, committed, usage)
        return _Seat(run, mailbox, canvases, saved=usage.denoising_steps)

    def _tell(self, seat: _Seat, own: list[Event], began: float, ended: float) -> None:
        """Pass on ``own``, what a step brought to this run."""
        finish = own[-1] if own and isinstance(own[-1], Finish) else None
        usage = self._engine.usage(seat.run.request.id) if finish is None else finish.usage
        canvases = seat.canvases.turn(usage, own, began, ended)
        if finish is not None:
            self._end(seat, own, canvases)
        elif any(isinstance(event, Commit) for event in own) or self._is_due(seat, usage):
            self._save(seat, own, canvases, usage)
        elif own:
            seat.mailbox.put(own)

    def _is_due(self, seat: _Seat, usage: Usage) -> bool:
        return usage.denoising_steps - seat.saved >= self._checkpoint_every

    def _save(self, seat: _Seat, events: list[Event], canvases: list[CanvasTimes], usage: Usage) -> None:
        """Pass on ``events`` with the checkpoint after them; a run that was to get here and no further is parked."""
        request_id, until = seat.run.request.id, seat.run.park_after
        committed = max((event.start + len(event.tokens) for event in events if isinstance(event, Commit)), default=0)
        boundary = bool(committed) and self._engine.at_boundary(request_id)
        if boundary and until is not None and committed >= until:
            self._park(seat, events, canvases)
            return
        seat.saved = usage.denoising_steps
        checkpoint = self._engine.checkpoint(request_id)
        seat.mailbox.put(events, checkpoint=checkpoint, boundary=boundary, canvases=canvases)

    def _park(self, seat: _Seat, events: list[Event], canvases: list[CanvasTimes]) -> None:
        """One that has not started leaves without a checkpoint."""
        request_id = seat.run.request.id
        boundary = self._engine.at_boundary(request_id)
        checkpoint = self._engine.park(request_id)
        if checkpoint is None:
            self._engine.abort(request_id)
        del self._seats[request_id]
        told = [*canvases, *seat.canvases.leave()]
        seat.mailbox.put(events, checkpoint=checkpoint, boundary=boundary, canvases=told, parked=True, last=True)

    def _end(self, seat: _Seat, events: list[Event], canvases: list[CanvasTimes]) -> None:
        del self._seats[seat.run.request.id]
        seat.mailbox.put(events, canvases=canvases, last=True)

    def _refuse(self, seat: _Seat, error: ServingError) -> None:
        del self._seats[seat.run.request.id]
        seat.mailbox.put(error=error)
