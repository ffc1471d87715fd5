"""Requests whose replicas follow a script, and the parts that run them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from deployments.autoscaling.config import ObjectiveConfig
from deployments.execution.execution import Execution, Work
from deployments.execution.executions import Executions
from deployments.execution.settings import ExecutionSettings
from deployments.execution.sight import TRACE
from deployments.gateway.assembler import Done, Output
from deployments.gateway.model import Model
from deployments.gateway.pieces import Hole
from deployments.gateway.plan import Plan
from deployments.gateway.writer import Delta
from deployments.run import Progress
from deployments.state.memory import MemoryStore
from deployments.state.record import RequestRecord
from deployments.state.store import RequestStore
from deployments.telemetry.metrics import MemoryMetrics
from deployments.telemetry.observation import Observation, Telemetry
from deployments.telemetry.tracing import traceparent_of
from deployments.tenancy.account import Accounts, Terms
from deployments.tenancy.ledger.biller import Biller
from deployments.tenancy.ledger.memory import MemoryLedger
from deployments.tenancy.ledger.records import TENANCY
from deployments.tenancy.limits.memory import MemoryLimiter
from deployments.tenancy.queue.local import LocalQueue
from deployments.tenancy.tenant import Tenant
from dllm_worker.request import Commit, Finish, Request, Usage
from tests.deployments.gateway.scripted import NOW, ScriptedPool, Step, byte_text, model

TEXT = "a canvas that outlives its worker"
TOKENS = tuple(byte_text().encode(TEXT))
SETTINGS = ExecutionSettings(write_seconds=5.0, accept_seconds=0.05)
QUEUE = "tiny:every"
TERMS = Terms("request", QUEUE, "key", "default", weight=1.0, work_weight=1.0, work=1000, tokens=100)


def scripts(*runs: Iterable[Step]) -> ScriptedPool:
    """A pool that plays ``runs`` to one run after the other."""
    remaining = iter(runs)
    return ScriptedPool(lambda request: next(remaining))


def told(start: int, stop: int, replica: str = "", *, boundary: bool = False) -> Progress:
    """A message that commits ``TOKENS[start:stop]``; its checkpoint says how far the request is."""
    commit = Commit("request", 0, stop, start, TOKENS[start:stop])
    return Progress((commit,), checkpoint=f"{stop}".encode(), replica=replica, boundary=boundary)


def finished() -> Progress:
    usage = Usage(prompt_tokens=2, completion_tokens=len(TOKENS), denoising_steps=4, position_forwards=64)
    return Progress((Finish("request", "length", usage),))


def work(
    pool: ScriptedPool,
    *,
    durable: bool = False,
    stops: tuple[str, ...] = (),
    name: str = "request",
    deadline: float | None = None,
    first: bool = True,
) -> Work:
    request = Request(id=name, prompt=(3, 4), max_tokens=len(TOKENS))
    record = RequestRecord(
        id=name,
        tenant="acme",
        model="tiny",
        endpoint="/v1/completions",
        parameters={"deadline": deadline, TENANCY: replace(TERMS, first=first).as_json()},
        created_at=NOW,
        updated_at=NOW,
        durable=durable,
    )
    return Work(record, model(pool), Plan(request, (Hole(len(TOKENS)),), stops))


@dataclass(slots=True)
class Cluster:
    """Gateways over one pool and one store; the test moves the clock."""

    pool: ScriptedPool
    store: RequestStore = field(default_factory=MemoryStore)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    now: float = NOW
    telemetry: Telemetry = field(default_factory=Telemetry)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)

    @property
    def accounts(self) -> Accounts:
        """Those of one gateway more, which limits nothing."""
        clock, metrics = (lambda: self.now), MemoryMetrics()
        queue = LocalQueue(QUEUE, lambda: 64, clock, metrics)
        return Accounts(MemoryLimiter(clock, 15.0), {QUEUE: queue}, Biller(self.ledger, self.store.settled, metrics))

    def gateway(self, name: str = "gateway-a") -> Executions:
        models = {"tiny": self.model}
        return Executions(self.store, models, self.accounts, lambda: self.now, name, SETTINGS, self.telemetry)

    async def start(self, executions: Executions, observation: Observation | None = None, /, **terms: Any) -> Execution:
        begun = replace(work(self.pool, **terms), model=self.model)
        trace = "" if observation is None else traceparent_of(observation.context)
        if trace:
            begun = replace(begun, record=replace(begun.record, parameters={**begun.record.parameters, TRACE: trace}))
        (account,), _ = await self.accounts.reserve(Tenant("acme"), [begun.record])
        return await executions.start(begun, account, observation)

    @property
    def model(self) -> Model:
        return replace(model(self.pool), objective=self.objective)


async def outputs_of(execution: Execution) -> list[Output]:
    return [output async for batch in execution.follow() for output in batch]


def text_of(outputs: Iterable[Output]) -> str:
    return "".join(output.text for output in outputs if isinstance(output, Delta))


def done_of(outputs: list[Output]) -> Done:
    done = outputs[-1]
    assert isinstance(done, Done)
    assert sum(isinstance(output, Done) for output in outputs) == 1
    return done
