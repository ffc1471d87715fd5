"""What one answer adds to the numbers: to metrics, to the observation of its request, and to the objective's count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from deployments.errors import InternalError
from deployments.telemetry import names
from deployments.tenancy.account import Terms
from dllm_worker.request import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from deployments.errors import ServingError
    from deployments.execution.execution import Work
    from deployments.execution.objectives import Objectives
    from deployments.gateway.assembler import Done
    from deployments.run import CanvasTimes
    from deployments.telemetry.metrics import Metric
    from deployments.telemetry.observation import Observation, Telemetry
    from deployments.tenancy.ledger.ledger import LedgerEntry
    from dllm_worker.request import Commit

Migration = Literal["resumed", "restarted", "lost"]


class Measures:
    """Times count from the arrival of the request. ``was_told`` is an answer of which another gateway has told some
    text: when that came is not known here.

    Failures of the service miss the objective. What is the client's own, its errors and its leaving, does not count.
    """

    def __init__(
        self,
        work: Work,
        observation: Observation,
        telemetry: Telemetry,
        objectives: Objectives,
        clock: Callable[[], float],
        *,
        was_told: bool,
    ) -> None:
        self._model, self._terms = work.model, Terms.of(work.record)
        self._observation, self._telemetry, self._objectives = observation, telemetry, objectives
        self._clock, self._was_told, self._trace_id = clock, was_told, observation.trace_id
        self._first: tuple[float, int] | None = None
        self.usage = Usage()
        if self._terms.first:
            observation.prompt_tokens += len(work.plan.request.prompt)

    def turn(self, waited: float) -> None:
        """The answer has had its turn, or will have none."""
        if self._observation.queue_seconds is None:
            self._observation.queue_seconds = waited

    def placed(self, replica: str) -> None:
        """A replica has the answer."""
        if replica and replica not in self._observation.replicas[-1:]:
            self._observation.replicas.append(replica)

    def canvas(self, times: CanvasTimes) -> None:
        """A canvas has ended."""
        self._record(names.CANVAS_STEPS, times.steps)
        self._record(names.CANVAS_DURATION, times.prefill + times.seconds)

    def committed(self, commit: Commit) -> None:
        """Text that is told now."""
        self.usage = commit.usage
        if self._first is not None:
            return
        now = self._clock()
        self._first = now, len(commit.tokens)
        if self._was_told:
            return
        waited = now - self._observation.arrived
        if self._observation.first_commit_seconds is None:
            self._observation.first_commit_seconds = waited
        self._record(names.TIME_TO_FIRST_COMMIT, waited)
        self._record_conventional(names.SERVER_TIME_TO_FIRST_TOKEN, waited)

    def moved(self, outcome: Migration) -> None:
        """The answer has left its replica."""
        self._observation.migrations += outcome != "lost"
        self._record(names.MIGRATIONS, 1, outcome=outcome)

    def finished(self, done: Done) -> None:
        """The answer is whole."""
        self.usage = done.work
        self._observation.finish_reasons.append(done.reason)
        self._spend(done.completion_tokens)
        self._record(names.DENOISE_STEPS, done.work.denoising_steps)
        if done.work.forward_passes:
            self._record(names.TOKENS_PER_FORWARD_PASS, done.completion_tokens / done.work.forward_passes)
        now = self._clock()
        first, told = self._first or (now, 0)
        if told and done.completion_tokens > told:
            self._record_conventional(
                names.SERVER_TIME_PER_OUTPUT_TOKEN, (now - first) / (done.completion_tokens - told)
            )
        if not self._was_told:
            self._judge(met=first - self._observation.arrived <= self._model.objective.first_commit_seconds)

    def failed(self, error: ServingError) -> None:
        """The answer ends without being whole."""
        self._observation.failure = self._observation.failure or error.code
        self._spend(self.usage.completion_tokens)
        if error.status >= InternalError.status:
            self._judge(met=False)

    def paid(self, entry: LedgerEntry) -> None:
        """What the answer costs its tenant."""
        tenant = self._telemetry.tenants.label(entry.tenant)
        self._telemetry.metrics.record(names.TENANT_COST, entry.work, trace_id=self._trace_id, tenant=tenant)

    def _spend(self, tokens: int) -> None:
        seen, usage = self._observation, self.usage
        seen.completion_tokens += tokens
        seen.denoising_steps += usage.denoising_steps
        seen.forward_passes += usage.forward_passes
        seen.position_forwards += usage.position_forwards
        self._record(names.COMMITTED_TOKENS, tokens)

    def _judge(self, *, met: bool) -> None:
        self._objectives.count(self._terms.queue, met=met)
        self._record(names.OBJECTIVE_REQUESTS, 1, verdict="met" if met else "missed")
        self._record(names.OBJECTIVE_SHARE, self._model.objective.share)

    def _record(self, metric: Metric, value: float, **labels: str) -> None:
        self._telemetry.metrics.record(metric, value, trace_id=self._trace_id, model=self._model.id, **labels)

    def _record_conventional(self, metric: Metric, seconds: float) -> None:
        operation = self._observation.operation
        if operation:
            self._telemetry.metrics.record(
                metric,
                seconds,
                trace_id=self._trace_id,
                gen_ai_operation_name=operation,
                gen_ai_request_model=self._model.id,
                gen_ai_response_model=self._model.id,
            )
