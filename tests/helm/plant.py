"""A cluster in one process: gateway, replica and controller, each with its own metrics, behind the operator's port.

The parts are the cluster's own. Only Ray is missing, and of the device its counter, which says what the test wants.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from operator import mul
from types import SimpleNamespace
from typing import Any

import httpx
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from cluster.valkey import free_port
from deployments.activity.calibration import calibrate
from deployments.activity.sampler import Sampler
from deployments.activity.source import Reading
from deployments.activity.start import start_sampling
from deployments.autoscaling.conductor import Conductor
from deployments.autoscaling.config import ActivityConfig, ActivitySource, AutoscalingConfig, ScalingConfig
from deployments.autoscaling.decide import decide
from deployments.autoscaling.journal import MemorySegments
from deployments.autoscaling.measures import measure
from deployments.autoscaling.observe import PoolSight, queues_of
from deployments.autoscaling.sample import Decision, PoolSpec
from deployments.config import ClusterConfig, ModelConfig, PoolConfig
from deployments.errors import ReplicaLost, Unavailable
from deployments.gateway.admin.app import create_admin_app
from deployments.gateway.admin.server import serve_admin
from deployments.gateway.app import Service, create_app, create_gateway
from deployments.gateway.backing import shared_on
from deployments.gateway.load import GatewayLoad, counted
from deployments.gateway.model import Model
from deployments.pools.pool import LocalPool
from deployments.replica.build import build, thread_settings
from deployments.replica.engine_thread import EngineThread
from deployments.replica.figures import report_of
from deployments.replica.gauges import EngineCollector
from deployments.routing.ray_router import PhaseRouter
from deployments.routing.ticket import Ticket
from deployments.routing.work import demand_of
from deployments.run import Progress, Run
from deployments.state.connect import clients_at
from deployments.telemetry.collection import Collection
from deployments.telemetry.exposition import Exposition
from deployments.telemetry.observation import Telemetry
from deployments.telemetry.prometheus import PrometheusMetrics, process_metrics
from deployments.telemetry.targets import MemoryTargets
from deployments.tenancy.declared import KeyConfig, TenantConfig, TenantLimits, declared_of
from deployments.tenancy.directory.reconcile import reconcile
from deployments.tenancy.keys import make_key
from deployments.tenancy.ledger.biller import Biller
from deployments.tenancy.ledger.ledger import LedgerEntry
from deployments.tenancy.ledger.memory import MemoryLedger
from deployments.tenancy.verification import Verifier
from dllm_worker.models.checkpoint import describe, resolve_checkpoint
from dllm_worker.text import Text
from tests.deployments.tenancy.ledger.entries import ended

CHECKPOINT, MODEL, HOST = "embedded:tiny-code", "tiny-code", "127.0.0.1"
ADMIN_KEY = "the-admin-key-of-this-test"
KEYS = {name: make_key("test", partial(mul, name[:1].encode())) for name in ("acme", "bravo")}
LOST, MOVED = 13, 14
"""Seeds of requests whose replica is lost: each time, and once behind the first text."""

SCALING = AutoscalingConfig(
    interval_seconds=0.2, activity=ActivityConfig(sources=["gpm", "estimate"], interval_seconds=0.2)
)
POOL = PoolConfig(replicas=1, max_replicas=3, max_running=4)


@dataclass(slots=True)
class Counter:
    """The device's counter."""

    name: ActivitySource = "gpm"

    def read(self, now: float) -> Reading | None:
        return Reading(0.5, now)

    def close(self) -> None:
        """There is nothing to close."""


class UnreliablePool(LocalPool):
    """One whose replica is lost with the requests of two seeds."""

    async def generate(self, run: Run) -> AsyncGenerator[Progress]:
        seed = run.request.sampling.seed
        async with aclosing(super().generate(run)) as messages:
            async for progress in messages:
                yield progress
                if seed == LOST or (seed == MOVED and run.checkpoint is None and progress.checkpoint):
                    raise ReplicaLost


@dataclass(slots=True)
class Plant:
    """``port`` is the operator's. Who runs it calls :meth:`control` now and then, as Ray Serve's controller does."""

    app: FastAPI
    port: int
    load: GatewayLoad
    engine: EngineThread
    sampler: Sampler
    conductor: Conductor
    spec: PoolSpec

    def client(self, tenant: str) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {KEYS[tenant]}"}
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://gateway", headers=headers)

    async def exposition(self) -> str:
        """What Prometheus reads, as text."""
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        async with httpx.AsyncClient(headers=headers, trust_env=False) as http:
            return (await http.get(f"http://{HOST}:{self.port}/metrics")).raise_for_status().text

    def control(self) -> None:
        """One look at the pool, and perhaps a decision."""
        now, engine = time.time(), self.engine
        self.conductor.hear({"gateway": queues_of(self.load.numbers)})
        report = report_of(engine.stats(), engine.figures(), self.sampler.latest(), now)
        sight = PoolSight({"worker": report}, target=1, least=self.spec.least, most=self.spec.most)
        self.conductor.target(self.spec.name, 1, lambda: sight, now)


@asynccontextmanager
async def running_plant(state_url: str) -> AsyncIterator[Plant]:
    """All of it, until the end of the context; the state server may be gone before."""
    targets = MemoryTargets()
    model_config = ModelConfig(id=MODEL, checkpoint=CHECKPOINT, pools=[POOL])
    with _replica(model_config, targets) as (engine, sampler), _controller(targets) as (conductor, spec):
        path = resolve_checkpoint(CHECKPOINT)
        model = Model(MODEL, describe(path), Text.load(path), UnreliablePool(engine), objective=model_config.objective)
        app, port, load = await _gateway(model, state_url, targets)
        async with app.router.lifespan_context(app):
            yield Plant(app, port, load, engine, sampler, conductor, spec)


@contextmanager
def _replica(config: ModelConfig, targets: MemoryTargets) -> Iterator[tuple[EngineThread, Sampler]]:
    metrics = PrometheusMetrics(CollectorRegistry())
    built, counters = build(config, POOL), [Counter()]
    calibration = calibrate(built.trial, counters, SCALING.activity.calibration_seconds, time.time)
    engine = EngineThread(built.engine(), thread_settings(POOL, "worker"))
    labels = {"model": config.id, "pool": POOL.name}
    sampler = start_sampling(SCALING, counters, calibration, engine.executed, metrics, labels)
    metrics.registry.register(EngineCollector(engine.stats, config.id, POOL.name, POOL.max_running))
    with _exposed(metrics, "worker", targets):
        try:
            yield engine, sampler
        finally:
            sampler.close()
            engine.stop()


@contextmanager
def _controller(targets: MemoryTargets) -> Iterator[tuple[Conductor, PoolSpec]]:
    """Its first decision fails."""
    metrics, failures = PrometheusMetrics(CollectorRegistry()), iter([RuntimeError()])

    def unreliable(*arguments: Any) -> Decision:
        for failure in failures:
            raise failure
        return decide(*arguments)

    model = ModelConfig(id=MODEL, checkpoint=CHECKPOINT)
    scaling = ScalingConfig(policy="composite")
    spec = PoolSpec(
        f"{MODEL}/{POOL.name}", MODEL, f"{MODEL}:every", 1, 3, POOL.max_running, 1.0, scaling, model.objective
    )
    conductor = Conductor(SCALING, unreliable, partial(measure, metrics))
    conductor.register(spec)
    with _exposed(metrics, "controller", targets):
        yield conductor, spec


async def _gateway(model: Model, state_url: str, targets: MemoryTargets) -> tuple[FastAPI, int, GatewayLoad]:
    metrics, models = process_metrics(), {MODEL: model}
    telemetry = Telemetry(metrics, TracerProvider(shutdown_on_exit=False).get_tracer("test"))
    backing = shared_on(clients_at(state_url, telemetry=telemetry), ClusterConfig(), models, "gateway", metrics)
    shared, queues = counted(models, backing.shared)
    gateway = create_gateway(models, shared, telemetry, owner="gateway")
    load = GatewayLoad(queues, gateway.executions.objectives, time.time)
    limited = TenantConfig(name="bravo", limits=TenantLimits(requests_per_minute=2))
    keys = [KeyConfig(tenant=tenant, key=SecretStr(key)) for tenant, key in KEYS.items()]
    declared = declared_of([limited], keys, time.time())
    await reconcile(shared.directory, declared)
    collection, port = Collection(targets), free_port()
    admin = create_admin_app(shared, collection, MemorySegments(), sha256(ADMIN_KEY.encode()).hexdigest())
    services: tuple[Service, ...] = (
        *backing.services,
        load.serve,
        partial(serve_admin, admin, HOST, port),
        partial(_expose, targets),
    )
    return create_app(gateway, Verifier(shared.directory, declared, time.time), services), port, load


async def _expose(targets: MemoryTargets) -> None:
    with _exposed(process_metrics(), "gateway", targets):
        await asyncio.Event().wait()


@contextmanager
def _exposed(metrics: PrometheusMetrics, component: str, targets: MemoryTargets) -> Iterator[None]:
    exposition = Exposition(metrics.registry, component, "", HOST)
    targets.announce(exposition.target)
    try:
        yield
    finally:
        exposition.close()


async def route_without_figures(run: Run) -> None:
    """Have the router of this process choose among replicas that it has heard nothing of."""
    router = PhaseRouter.__new__(PhaseRouter)
    router._deployment_id = SimpleNamespace(app_name="plant", name=f"worker:{MODEL}:{POOL.name}")
    router.initialize_state()
    replica = SimpleNamespace(replica_id=SimpleNamespace(to_full_id_str=lambda: "worker"))
    ticket = Ticket(demand_of(run, describe(resolve_checkpoint(CHECKPOINT)).spec, 1.0, 1))
    call = SimpleNamespace(kwargs={"ticket": ticket}, routing_context=SimpleNamespace(should_backoff=False))
    router._view.offer(["worker"])
    await router.choose_replicas([replica], call)


class _ClosedLedger(MemoryLedger):
    async def enter(self, entry: LedgerEntry) -> bool:
        raise Unavailable


async def drop_a_bill() -> None:
    """Have a gateway's biller keep one answer at most, and end two."""

    async def forget(key: object) -> None:
        """Nothing is left anywhere else."""

    biller = Biller(_ClosedLedger(), forget, process_metrics(), most_pending=1)
    for number in range(2):
        await biller.bill(ended(f"cmpl-{number}"))
