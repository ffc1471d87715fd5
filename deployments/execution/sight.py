"""What is seen of one request while it is executed, and told as spans and numbers."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from opentelemetry.trace import Span

from deployments.errors import ReplicaLost, ReplicasLost, RequestCancelled, TakenOver
from deployments.execution.attempt import Attempt, Outcome
from deployments.execution.measures import Measures, Migration
from deployments.telemetry import attributes as names
from deployments.telemetry.observation import Observation
from deployments.telemetry.spans import Trace
from deployments.telemetry.tracing import context_of
from deployments.tenancy.account import Terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from deployments.errors import ServingError
    from deployments.execution.execution import Work
    from deployments.execution.objectives import Objectives
    from deployments.gateway.assembler import Done
    from deployments.run import Progress, Run
    from deployments.state.record import RequestRecord
    from deployments.telemetry.observation import Telemetry
    from deployments.telemetry.spans import Attributes
    from deployments.tenancy.ledger.ledger import LedgerEntry
    from dllm_worker.request import Commit

TRACE = "trace"
"""The parameter of a record with the ``traceparent`` of the request's root span, there when that is recorded: whoever
goes on with the request does so in its trace.
"""


@dataclass(frozen=True, slots=True)
class _Way:
    """The request is on its way to a replica: away from another one, which has an ``outcome``, or from a gateway."""

    span: Span
    outcome: Migration | None = None


class Sight:
    """The spans of one execution are all below the request's root and end with what they tell of, however that ends."""

    def __init__(
        self,
        work: Work,
        observation: Observation,
        telemetry: Telemetry,
        objectives: Objectives,
        clock: Callable[[], float],
        *,
        was_told: bool = False,
    ) -> None:
        self.observation = observation
        self._model, self._terms = work.model.id, Terms.of(work.record)
        self._clock = clock
        self._trace = Trace.below(telemetry.tracer, observation.context, clock)
        self._measures = Measures(work, observation, telemetry, objectives, clock, was_told=was_told)
        self._attempt: Attempt | None = None
        self._canvas = self._step = 0
        self._way: _Way | None = None

    def taken_over(self, run: Run) -> None:
        """This gateway goes on with the request of one that is gone."""
        self._way = _Way(self._trace.start(names.RESUME, self._resumption(run)))

    @contextmanager
    def queueing(self) -> Iterator[None]:
        """Inside, the request waits for its turn."""
        entered = self._clock()
        told = {names.QUEUE_NAME: self._terms.queue, names.BAND: self._terms.band}
        try:
            with self._trace.during(names.QUEUE, told):
                yield
        finally:
            self._measures.turn(self._clock() - entered)

    @contextmanager
    def attempt(self, run: Run) -> Iterator[Run]:
        """Inside, a replica is asked; for the run as it is to be sent there."""
        attempt = self._attempt = Attempt(self._trace, run, self._model, self.observation.operation, self._canvas)
        outcome: Outcome = "failed"
        raised: BaseException | None = None
        try:
            yield replace(run, trace=attempt.traceparent)
            outcome = attempt.left
        except CancelledError as error:
            outcome, raised = "cancelled", error
            raise
        except BaseException as error:
            raised = error
            raise
        finally:
            self._canvas = attempt.canvas
            attempt.end(outcome, self._measures.usage, raised)

    def heard(self, progress: Progress) -> None:
        """The replica has sent a message."""
        attempt = self._attempt
        if attempt is None:
            return
        attempt.heard(progress)
        self._measures.placed(progress.replica)
        for times in progress.canvases:
            if times.ended:
                self._measures.canvas(times)
        self._arrived(attempt.replica)

    def committed(self, commit: Commit) -> None:
        """Tokens of the message are final and told."""
        self._step = commit.step
        self._measures.committed(commit)

    def moves(self, run: Run, error: ServingError | None = None) -> None:
        """The request is to go on elsewhere; ``run`` is how far it is. One that had no replica leaves none."""
        attempt = self._attempt
        if attempt is None or self._way is not None or not (attempt.replica or isinstance(error, ReplicaLost)):
            return
        span = self._trace.start(names.MIGRATE, {names.MIGRATED_FROM: attempt.replica, **self._resumption(run)})
        self._way = _Way(span, "restarted" if run.checkpoint is None else "resumed")

    def finished(self, done: Done) -> None:
        """The answer is whole."""
        self._measures.finished(done)
        if self._attempt is not None:
            self._attempt.end("finished", done.work)

    def failed(self, error: ServingError) -> None:
        """The request ends with ``error``; one that has become another gateway's ends there."""
        if isinstance(error, TakenOver | RequestCancelled):
            self.released()
        elif self._way is not None or isinstance(error, ReplicasLost):
            self._lost(error)
        if not isinstance(error, TakenOver):
            self._measures.failed(error)

    def released(self) -> None:
        """The request ends here, or goes on without this gateway."""
        if self._way is not None:
            self._trace.end(self._way.span, CancelledError())
        self._way = None

    def paid(self, entry: LedgerEntry) -> None:
        """The bill for the answer is made out."""
        self._measures.paid(entry)

    def _arrived(self, replica: str) -> None:
        """The request is where it was to go."""
        if self._way is None:
            return
        way, self._way = self._way, None
        way.span.set_attribute(names.MIGRATED_TO, replica)
        if way.outcome is not None:
            way.span.set_attribute(names.OUTCOME, way.outcome)
            self._measures.moved(way.outcome)
        self._trace.end(way.span)

    def _lost(self, error: ServingError) -> None:
        """The request got no other replica. One that came from a gateway and found none has not lost any."""
        way, self._way = self._way, None
        if way is not None:
            way.span.set_attribute(names.OUTCOME, "lost")
            self._trace.end(way.span, error)
        if isinstance(error, ReplicasLost) or (way is not None and way.outcome is not None):
            self._measures.moved("lost")

    def _resumption(self, run: Run) -> Attributes:
        return {names.EPOCH: run.epoch, names.RESUMED_TOKENS: run.committed, names.RESUMED_STEP: self._step}


def observation_of(record: RequestRecord) -> Observation:
    """That of a request of which nothing is known but its record."""
    parameters = record.parameters
    return Observation(
        arrived=record.created_at,
        context=context_of(parameters.get(TRACE, "")),
        request_id=parameters.get("request_id", ""),
        tenant=record.tenant,
        model=record.model,
        band=Terms.of(record).band,
        answer_id=record.id,
    )
