"""Which effort is left of the one that was asked for, by the tenant's floor and the client's deadline."""

from __future__ import annotations

from typing import Any

import pytest

from deployments.errors import DeadlineExceeded, InvalidRequest, UnsupportedParameter
from deployments.gateway.deadline import HEADER, Deadline, parse_deadline
from deployments.gateway.effort import AppliedEffort, Effort
from deployments.gateway.plan import Plan, Planner
from deployments.gateway.schema import CompletionBody
from deployments.gateway.terms import Terms, terms_of
from deployments.pools.pool import Forecast
from deployments.tenancy.declared import TenantConfig
from deployments.tenancy.tenant import Tenant
from dllm_worker.models.checkpoint import ModelDescription
from dllm_worker.request import Request, SamplingParameters
from tests.deployments.gateway.scripted import ScriptedPool, byte_text, client, gateway, saying, spec, tenancy

NOW = 1000.0
STEPS = {8: "instant", 16: "low", None: "medium", 32: "high"}


def plan(terms: Terms | None = None, **fields: Any) -> Plan:
    description = ModelDescription(spec(), SamplingParameters(threshold=0.9), "rev")
    planner = Planner(description, byte_text(), 100, "id", 0, terms=terms or Terms())
    body = {"model": "tiny", "prompt": "hi", "max_tokens": 100, **fields}
    return planner.completion(CompletionBody.model_validate(body))


def running(seconds: dict[str, float], wait: float = 0.0) -> Any:
    """A forecast that knows an effort by its step bound."""
    return lambda request: Forecast(wait, seconds[STEPS[request.sampling.max_steps]])


def level(planned: Plan) -> str:
    """The effort that runs."""
    return STEPS[planned.request.sampling.max_steps]


@pytest.mark.parametrize(
    ("floor", "asked", "runs", "told"),
    [
        (None, None, "medium", None),
        (None, "medium", "medium", AppliedEffort("medium")),
        (None, "instant", "instant", AppliedEffort("instant")),
        ("low", "instant", "low", AppliedEffort("low", "quality_floor")),
        ("low", "high", "high", AppliedEffort("high")),
        ("low", None, "medium", None),
        ("high", None, "high", AppliedEffort("high", "quality_floor")),
    ],
)
def test_the_floor_raises_an_effort_and_says_so(
    floor: Effort | None, asked: Effort | None, runs: str, told: AppliedEffort | None
) -> None:
    planned = plan(Terms(quality_floor=floor), reasoning_effort=asked)
    assert (level(planned), planned.effort) == (runs, told)
    assert planned.as_json()["effort"] == (str(told) if told else None)


def test_a_parameter_that_the_client_chose_wins_over_the_effort() -> None:
    sampling = plan(reasoning_effort="instant", diffusion={"confidence_threshold": 0.8}).request.sampling
    assert (sampling.threshold, sampling.max_steps) == (0.8, 8)


def test_effort_is_refused_where_it_changes_nothing() -> None:
    description = ModelDescription(
        spec(context_attention="causal", next_token=True), SamplingParameters("autoregressive"), "rev"
    )
    planner = Planner(description, byte_text(), 100, "id", 0, terms=Terms(quality_floor="high"))
    body = {"model": "tiny", "prompt": "hi"}
    assert planner.completion(CompletionBody.model_validate(body)).effort is None
    with pytest.raises(UnsupportedParameter, match="autoregressive") as refusal:
        planner.completion(CompletionBody.model_validate(body | {"reasoning_effort": "low"}))
    assert refusal.value.parameter == "reasoning_effort"


@pytest.mark.parametrize(
    ("floor", "asked", "seconds", "runs", "told"),
    [
        (None, None, {"medium": 1.0}, "medium", None),
        (None, None, {"medium": 3.0, "low": 1.9}, "low", AppliedEffort("low", "deadline")),
        (None, "high", {"high": 4.0, "medium": 3.0, "low": 3.0, "instant": 1.0}, "instant", None),
        ("high", None, {"high": 1.0}, "high", AppliedEffort("high", "quality_floor")),
        ("low", "high", {"high": 4.0, "medium": 1.0}, "medium", AppliedEffort("medium", "deadline")),
    ],
)
def test_a_deadline_lowers_the_effort_as_far_as_it_must(
    floor: Effort | None, asked: Effort | None, seconds: dict[str, float], runs: str, told: AppliedEffort | None
) -> None:
    planned = plan(Terms("acme", floor, Deadline(2.0, NOW, running(seconds))), reasoning_effort=asked)
    assert level(planned) == runs
    assert planned.effort == (told or (AppliedEffort("instant", "deadline") if runs == "instant" else None))
    assert planned.request.deadline == NOW


def test_the_wait_counts_towards_the_deadline() -> None:
    seconds = {"high": 1.0, "medium": 0.9, "low": 0.5, "instant": 0.4}
    assert level(plan(Terms(deadline=Deadline(2.0, NOW, running(seconds, wait=1.2))))) == "low"


@pytest.mark.parametrize(("floor", "run"), [(None, "400"), ("low", "500")])
def test_what_cannot_be_in_time_is_refused_with_the_predicted_wait(floor: Effort | None, run: str) -> None:
    seconds = {"high": 1.0, "medium": 0.9, "low": 0.5, "instant": 0.4}
    with pytest.raises(DeadlineExceeded, match=f"wait 1800 ms and run {run} ms; its deadline is in 2000 ms") as refusal:
        plan(Terms("acme", floor, Deadline(2.0, NOW, running(seconds, wait=1.8))))
    assert refusal.value.envelope("id")["error"]["predicted_wait_ms"] == 1800


def test_without_a_forecast_a_deadline_is_taken_as_it_is() -> None:
    planned = plan(Terms(deadline=Deadline(0.001, NOW, lambda request: None)))
    assert (level(planned), planned.request.deadline) == ("medium", NOW)


def test_a_cache_key_is_an_affinity_within_its_tenant() -> None:
    keys = [plan(Terms(tenant), prompt_cache_key=key).affinity for tenant, key in [("a", "x"), ("b", "x"), ("a", "y")]]
    assert len({*keys}) == 3
    assert plan(Terms("a"), prompt_cache_key="x").affinity == keys[0] != "x"
    assert plan(Terms("a")).affinity is None


def test_the_terms_come_from_the_headers_and_the_tenant() -> None:
    pool = ScriptedPool(saying("hi"))
    assert terms_of({}, Tenant("acme", quality_floor="low"), pool, NOW) == Terms("acme", "low")
    terms = terms_of({HEADER: "2500"}, Tenant("bravo"), pool, NOW)
    assert terms.quality_floor is None
    assert terms.deadline is not None
    assert (terms.deadline.seconds, terms.deadline.ends_at) == (2.5, NOW + 2.5)
    assert terms.deadline.fits(Request("a", max_tokens=1))


@pytest.mark.parametrize("value", ["", "0", "-1", "1.5", "1e3", "x", " 5", "٣", "1000000001", "9" * 5000])
def test_a_deadline_is_a_positive_number_of_milliseconds(value: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_deadline(value)
    assert refusal.value.parameter == HEADER


def test_a_deadline_is_read() -> None:
    assert (parse_deadline(None), parse_deadline("1"), parse_deadline("1000000000")) == (None, 1, 10**9)


@pytest.mark.parametrize(
    ("asked", "told"), [(None, None), ("low", "low;because=quality_floor"), ("high", "high"), ("medium", "medium")]
)
async def test_the_answer_tells_the_effort(asked: str | None, told: str | None) -> None:
    app = gateway(saying("hi"), declared=tenancy(TenantConfig(name="acme", quality_floor="medium")))
    body = {"model": "tiny", "prompt": "x", "reasoning_effort": asked}
    expected = None if told is None else told.replace("low;", "medium;")
    async with client(app) as http:
        answer = await http.post("/v1/completions", json=body)
    assert (answer.status_code, answer.headers.get("x-dllm-effort")) == (200, expected)


async def test_a_late_answer_is_refused_at_once_with_the_predicted_wait() -> None:
    pool = ScriptedPool(saying("hi"), predicted=Forecast(1.5, 0.1))
    body = {"model": "tiny", "prompt": "x"}
    async with client(gateway(pool)) as http:
        late = await http.post("/v1/completions", json=body, headers={HEADER: "1000"})
        timely = await http.post("/v1/completions", json=body, headers={HEADER: "1600"})
        bad = await http.post("/v1/completions", json=body, headers={HEADER: "soon"})
    assert (late.status_code, late.json()["error"]["code"]) == (504, "deadline_exceeded")
    assert late.json()["error"]["predicted_wait_ms"] == 1500
    assert (timely.status_code, pool.requests[-1].deadline is not None, len(pool.requests)) == (200, True, 1)
    assert (bad.status_code, bad.json()["error"]["param"]) == (400, HEADER)
