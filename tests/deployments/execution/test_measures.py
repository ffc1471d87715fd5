"""What answers add to metrics, to the observation of their request and to the count of their model's objective."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from deployments.autoscaling.config import ObjectiveConfig
from deployments.errors import QueueFull, ReplicaLost, ServingError, Unavailable
from deployments.execution.executions import Executions
from deployments.run import Progress
from deployments.telemetry import names
from deployments.telemetry.metrics import Metric
from deployments.telemetry.named_tenants import NamedTenants
from deployments.telemetry.observation import Observation
from dllm_worker.request import Commit, Finish, Usage
from tests.deployments.execution.watching import Watched, canvas
from tests.deployments.execution.works import QUEUE, SETTINGS, TOKENS, outputs_of
from tests.deployments.gateway.scripted import Step

END = len(TOKENS)
GEN_AI = ("text_completion", "tiny", "tiny")


def spent(tokens: int) -> Usage:
    return Usage(
        prompt_tokens=2,
        completion_tokens=tokens,
        denoising_steps=tokens // 2,
        prefill_forwards=1,
        position_forwards=8 * tokens,
    )


def says(start: int, stop: int) -> Progress:
    commit = Commit("request", 0, stop, start, TOKENS[start:stop], spent(stop))
    return Progress((commit,), checkpoint=b"x", replica="r1")


def answers(cluster: Watched) -> Iterator[Step]:
    """The first text after two seconds, the other tokens in as many half seconds."""
    cluster.wait(2.0)
    yield replace(says(0, 8), canvases=(canvas(0, 0.5, 1.5, steps=6),))
    cluster.wait((END - 8) * 0.5)
    yield replace(says(8, END), canvases=(canvas(1, 0.0, 9.0, steps=3),))
    yield Progress((Finish("request", "length", spent(END)),))


async def seen(cluster: Watched, **terms: bool | str) -> tuple[Observation, Executions]:
    """A request that ends somehow."""
    executions = cluster.gateway()
    with cluster.asked() as observation:
        execution = await cluster.start(executions, observation, **terms)
        with suppress(ServingError):
            await outputs_of(execution)
        await execution.ended()
    return observation, executions


def observed(cluster: Watched, metric: Metric, *labels: str) -> list[float]:
    return cluster.metrics.values[metric.name, *labels]


async def test_an_answer_is_measured_from_the_arrival_of_its_request() -> None:
    cluster = Watched(answers)
    await seen(cluster)
    assert observed(cluster, names.TIME_TO_FIRST_COMMIT, "tiny") == [2.0]
    assert observed(cluster, names.SERVER_TIME_TO_FIRST_TOKEN, *GEN_AI) == [2.0]
    assert observed(cluster, names.SERVER_TIME_PER_OUTPUT_TOKEN, *GEN_AI) == [0.5]
    assert observed(cluster, names.DENOISE_STEPS, "tiny") == [END // 2]
    assert observed(cluster, names.TOKENS_PER_FORWARD_PASS, "tiny") == [END / (END // 2 + 1)]
    assert observed(cluster, names.COMMITTED_TOKENS, "tiny") == [END]
    assert observed(cluster, names.CANVAS_STEPS, "tiny") == [6, 3]
    assert observed(cluster, names.CANVAS_DURATION, "tiny") == [2.0, 9.0]


async def test_the_observation_has_what_the_access_line_says() -> None:
    cluster = Watched(answers)
    observation, _ = await seen(cluster)
    assert observation.queue_seconds == 0.0
    assert observation.first_commit_seconds == 2.0
    assert (observation.prompt_tokens, observation.completion_tokens) == (2, END)
    assert (observation.denoising_steps, observation.forward_passes) == (END // 2, END // 2 + 1)
    assert observation.position_forwards == 8 * END
    assert (observation.replicas, observation.finish_reasons, observation.failure) == (["r1"], ["length"], "")


async def test_several_answers_to_one_request_are_one_observation() -> None:
    cluster = Watched(answers, answers)
    executions = cluster.gateway()
    with cluster.asked() as observation:
        for number in range(2):
            execution = await cluster.start(executions, observation, name=f"request.{number}", first=number == 0)
            await outputs_of(execution)
    assert (observation.prompt_tokens, observation.completion_tokens) == (2, 2 * END)
    assert observation.position_forwards == 2 * 8 * END
    assert observation.first_commit_seconds == 2.0
    assert observation.finish_reasons == ["length", "length"]


@pytest.mark.parametrize(("bound", "verdict"), [(2.0, "met"), (1.9, "missed")])
async def test_an_answer_meets_the_objective_if_its_first_text_is_in_time(bound: float, verdict: str) -> None:
    cluster = Watched(answers)
    cluster.objective = ObjectiveConfig(first_commit_seconds=bound)
    _, executions = await seen(cluster)
    assert observed(cluster, names.OBJECTIVE_REQUESTS, "tiny", verdict) == [1]
    assert (executions.objectives.met(QUEUE), executions.objectives.missed(QUEUE)) == (
        (1, 0) if verdict == "met" else (0, 1)
    )


@pytest.mark.parametrize(("error", "missed"), [(Unavailable(), 1), (ValueError("a defect"), 1), (QueueFull(), 0)])
async def test_what_the_service_fails_misses_the_objective_and_what_its_client_does_counts_for_nothing(
    error: Exception, missed: int
) -> None:
    def fails(cluster: Watched) -> Iterator[Step]:
        yield says(0, 8)
        yield error

    cluster = Watched(fails)
    observation, executions = await seen(cluster)
    assert executions.objectives.missed(QUEUE) == missed
    assert executions.objectives.met(QUEUE) == 0
    assert observation.failure == getattr(error, "code", "internal_error")
    assert observation.completion_tokens == 8
    assert observed(cluster, names.COMMITTED_TOKENS, "tiny") == [8]
    assert not observed(cluster, names.DENOISE_STEPS, "tiny")


async def test_a_cancelled_answer_counts_for_no_objective_and_costs_what_it_used() -> None:
    def endless(cluster: Watched) -> Iterator[Step]:
        yield says(0, 8)
        yield asyncio.Event()

    cluster = Watched(endless)
    executions = cluster.gateway()
    with cluster.asked() as observation:
        execution = await cluster.start(executions, observation)
        await anext(execution.follow())
        await execution.cancel()
    assert (executions.objectives.met(QUEUE), executions.objectives.missed(QUEUE)) == (0, 0)
    assert observation.failure == "request_cancelled"
    assert observed(cluster, names.TENANT_COST, "acme") == [8 * 8]


async def test_only_some_tenants_have_a_name() -> None:
    cluster = Watched(answers, answers)
    cluster.telemetry = replace(cluster.telemetry, tenants=NamedTenants(0))
    await seen(cluster)
    assert observed(cluster, names.TENANT_COST, "other") == [8 * END]
    assert not observed(cluster, names.TENANT_COST, "acme")


async def test_an_answer_that_another_gateway_began_to_tell_has_no_first_text_here() -> None:
    def stays(cluster: Watched) -> Iterator[Step]:
        yield says(0, 8)
        yield asyncio.Event()

    def ends(cluster: Watched) -> Iterator[Step]:
        yield says(8, END)
        yield Progress((Finish("request", "length", spent(END)),))

    cluster = Watched(stays, ends)
    gone, heir = cluster.gateway("gone"), cluster.gateway("heir")
    with cluster.asked() as observation:
        execution = await cluster.start(gone, observation, durable=True)
        await anext(execution.follow())
        while len(await cluster.store.entries(execution.key)) < 1:
            await cluster.store.entries(execution.key, 0, wait_seconds=5.0)
    cluster.wait(SETTINGS.lease_seconds + 1)
    await heir.take_over()
    async for _ in heir.follow(execution.key):
        pass
    await gone.close()
    assert len(observed(cluster, names.TIME_TO_FIRST_COMMIT, "tiny")) == 1
    assert (heir.objectives.met(QUEUE), heir.objectives.missed(QUEUE)) == (0, 0)
    assert observed(cluster, names.COMMITTED_TOKENS, "tiny") == [END]


async def test_an_answer_that_has_become_another_gateways_is_counted_there() -> None:
    gate = asyncio.Event()

    def stays(cluster: Watched) -> Iterator[Step]:
        yield says(0, 8)
        yield gate
        yield says(8, 20)
        yield asyncio.Event()

    def ends(cluster: Watched) -> Iterator[Step]:
        yield says(8, END)
        yield Progress((Finish("request", "length", spent(END)),))

    cluster = Watched(stays, ends)
    zombie, heir = cluster.gateway("zombie"), cluster.gateway("heir")
    with cluster.asked() as observation:
        execution = await cluster.start(zombie, observation, durable=True)
        await anext(execution.follow())
        while len(await cluster.store.entries(execution.key)) < 1:
            await cluster.store.entries(execution.key, 0, wait_seconds=5.0)
        cluster.wait(SETTINGS.lease_seconds + 1)
        await heir.take_over()
        gate.set()
        await execution.ended()
    async for _ in heir.follow(execution.key):
        pass
    assert observation.failure == ""
    assert (zombie.objectives.met(QUEUE), zombie.objectives.missed(QUEUE)) == (0, 0)
    assert observed(cluster, names.COMMITTED_TOKENS, "tiny") == [END]
    assert observed(cluster, names.TENANT_COST, "acme") == [8 * END]


class Examples:
    """Keeps which trace each metric named last."""

    def __init__(self) -> None:
        self.traces: dict[str, str] = {}

    def record(self, metric: Metric, value: float, *, trace_id: str = "", **labels: str) -> None:
        self.traces[metric.name] = trace_id


async def test_examples_name_the_trace_where_it_is_recorded() -> None:
    def dies(cluster: Watched) -> Iterator[Step]:
        yield says(0, 8)
        raise ReplicaLost

    def ends(cluster: Watched) -> Iterator[Step]:
        yield says(8, END)
        yield Progress((Finish("request", "length", spent(END)),))

    for sampled in (True, False):
        cluster, examples = Watched(dies, ends, sampled=sampled), Examples()
        cluster.telemetry = replace(cluster.telemetry, metrics=examples)
        observation, _ = await seen(cluster)
        assert names.MIGRATIONS.name in examples.traces
        assert set(examples.traces.values()) == ({observation.trace_id} if sampled else {""})
