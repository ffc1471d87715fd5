"""The same request over REST and over gRPC gets the same answer, or the same error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from deployments.errors import DeadlineExceeded, NoReplica, Overloaded
from deployments.gateway.settings import GatewaySettings
from deployments.pools.pool import Forecast
from deployments.tenancy.declared import TenantConfig
from deployments.tenancy.directory.directory import Declared
from dllm_worker.request import Commit, Draft, Request, TokenLogprobs
from tests.deployments.gateway.grpc.parity import Outcome, over_grpc, over_rest
from tests.deployments.gateway.grpc.served import serving
from tests.deployments.gateway.scripted import (
    AUTHORIZED,
    BIDIRECTIONAL,
    KEY,
    ScriptedPool,
    Step,
    byte_text,
    commits,
    filling,
    finish,
    saying,
    tenancy,
)
from tests.deployments.test_errors import every_error

Script = Callable[[Request], Iterable[Step]]
HELLO = saying("Hel", "lo")

BODIES: Mapping[str, dict[str, Any]] = {
    "chat": {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]},
    "completion": {"model": "tiny", "prompt": "hi"},
    "infill": {"model": "tiny", "template": "a{{hole}}b{{hole}}", "hole_tokens": 4},
}
STATUSES = {kind.code: (kind.status, kind.grpc_status) for kind in every_error()}


@dataclass(frozen=True, slots=True)
class Case:
    """A request: what is changed in the body of its ``kind``, its headers, and the gateway that it comes to.

    ``before`` it the same request comes so many times.
    """

    name: str
    kind: str = "chat"
    fields: Mapping[str, Any] = field(default_factory=dict)
    script: Script = HELLO
    headers: Mapping[str, str] = field(default_factory=dict)
    settings: GatewaySettings | None = None
    declared: Declared | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    forecast: Forecast | None = None
    before: int = 0
    code: str = ""
    parameter: str | None = None

    @property
    def body(self) -> dict[str, Any]:
        return {name: value for name, value in {**BODIES[self.kind], **self.fields}.items() if value is not None}


def refused(kind: str, parameter: str | None, fields: Mapping[str, Any], code: str = "invalid_request_error") -> Case:
    name = f"{kind} {parameter or next(iter(fields))} {next(iter(fields.values()))}"[:48]
    return Case(name, kind, fields, code=code, parameter=parameter)


def unsupported(kind: str, parameter: str, fields: Mapping[str, Any]) -> Case:
    return refused(kind, parameter, fields, "unsupported_parameter")


def watched(request: Request) -> list[Step]:
    a, b = byte_text().encode("ab")
    drafts = [Draft(request.id, 0, 1, 0, (a, 0), 1), Draft(request.id, 0, 2, 0, (a, b), 0)]
    return [(), (drafts[0],), (drafts[1], *commits(request, [[a, b]])[0]), finish(request, 2)]


def probable(request: Request) -> list[Step]:
    tokens = byte_text().encode("Hi")
    chances = tuple(TokenLogprobs(-0.5, ((token, -0.5), (token + 1, -1.5))) for token in tokens)
    return [(), (Commit(request.id, 0, 1, 0, tuple(tokens), logprobs=chances),), finish(request, 2)]


def failing(error: Exception, *texts: str) -> Script:
    """Says ``texts`` and fails. Who has been admitted waits for another replica; who has not is told at once."""
    return lambda request: [*commits(request, [byte_text().encode(text) for text in texts]), error]


def with_tenant(**facts: Any) -> Declared:
    return tenancy(*[TenantConfig.model_validate({"name": "acme", **facts})])


ANSWERED = [
    Case("a conversation"),
    Case("roles", fields={"messages": [{"role": role, "content": role} for role in ("system", "developer", "user")]}),
    Case("a turn of the assistant", fields={"messages": [{"role": "assistant", "content": "é ☃"}]}),
    Case("nothing", script=saying("")),
    Case("characters of several bytes", script=saying("a\N{SNOWMAN}", "\N{PILE OF POO}!")),
    Case("the longest", fields={"max_tokens": 5}, script=saying("Hello", reason="length")),
    Case("until the deadline", script=saying("Hel", reason="deadline"), headers={"x-dllm-deadline-ms": "60000"}),
    Case("a stop string", fields={"stop": ["lo"]}),
    Case("stop strings", fields={"stop": ["xyz", "l"]}),
    Case("sampling", fields={"temperature": 0.5, "top_p": 0.9, "seed": -7}),
    Case("three choices", fields={"n": 3, "seed": 1}),
    Case("effort", fields={"reasoning_effort": "low", "diffusion": {"algorithm": "confidence_threshold"}}),
    Case("denoising", fields={"diffusion": {"algorithm": "low_confidence", "schedule": "cosine", "max_steps": 7}}),
    Case("a cache", fields={"diffusion": {"cache": {"kind": "none"}}}),
    Case("labels", fields={"user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "metadata": {"a": "b"}}),
    Case("probabilities", fields={"logprobs": True, "top_logprobs": 2}, script=probable),
    Case("a guess", fields={"prediction": {"type": "content", "content": "Hello"}}),
    Case("a tier", fields={"service_tier": "flex"}),
    Case("a tier of one's own", fields={"service_tier": "priority"}, declared=with_tenant(bands=["interactive"])),
    Case("limits", declared=with_tenant(limits={"requests_per_minute": 10, "tokens_per_minute": 10_000})),
    Case("an id", headers={"x-request-id": "mine-1"}),
    Case("strict", headers={"x-dllm-strict": "true"}),
    Case("a key that is new", headers={"idempotency-key": "k1"}),
    Case("a key that is known", headers={"idempotency-key": "k1"}, before=1),
    Case("a prompt", "completion"),
    Case("a prompt of tokens", "completion", {"prompt": [104, 105]}),
    Case("a prompt that is told again", "completion", {"echo": True}),
    Case("between prompt and suffix", "completion", {"suffix": "!", "max_tokens": 4}, filling("abc")),
    Case("choices of a prompt", "completion", {"n": 2, "stop": "l"}),
    Case("holes", "infill", script=filling("wxyz", "w")),
    Case("holes of their own lengths", "infill", {"hole_tokens": [2, 3]}, filling("xy", "z")),
    Case("a marker", "infill", {"template": "1_2", "hole": "_", "hole_tokens": 2}, filling("xy")),
    Case("holes of a canvas", "infill", script=filling("wxyz", "w"), facts=BIDIRECTIONAL),
]
"""Answers in one piece and as a stream."""

WATCHED = [
    Case("patches", fields={"diffusion": {"stream": "canvas"}}, script=watched),
    Case("snapshots", fields={"diffusion": {"stream": "canvas", "canvas_format": "snapshot"}}, script=watched),
    Case("every second", fields={"diffusion": {"stream": "canvas", "canvas_every": 2}}, script=watched),
]
"""Streams only."""

REFUSED = [
    refused("chat", "model", {"model": None}),
    refused("chat", "model", {"model": "other"}, "model_not_found"),
    refused("completion", "model", {"model": "other"}, "model_not_found"),
    refused("infill", "model", {"model": "other"}, "model_not_found"),
    refused("chat", "messages", {"messages": None}),
    refused("chat", "messages[0].content", {"messages": [{"role": "user"}]}),
    refused("chat", "messages[1].role", {"messages": [{"role": "user", "content": "a"}, {"content": "b"}]}),
    refused("chat", "messages", {"messages": [{"role": "user", "content": "<|mask|>"}]}),
    refused("chat", "temperature", {"temperature": 2.5}),
    refused("chat", "top_p", {"top_p": 0.0}),
    refused("chat", "max_tokens", {"max_tokens": 0}),
    refused("chat", "max_tokens", {"max_tokens": 10**6}, "context_length_exceeded"),
    refused("chat", "stop", {"stop": ["a", "b", "c", "d", "e"]}),
    refused("chat", "stop[0]", {"stop": [""]}),
    refused("chat", "n", {"n": 17}),
    refused("chat", "user", {"user": "x" * 513}),
    refused("chat", "metadata", {"metadata": {str(number): "x" for number in range(17)}}),
    refused("chat", "service_tier", {"service_tier": "priority"}, "permission_denied"),
    refused("chat", "diffusion.max_steps", {"diffusion": {"max_steps": 0}}),
    refused("chat", "diffusion.canvas_every", {"diffusion": {"canvas_every": 0}}),
    refused("chat", "diffusion.confidence_threshold", {"diffusion": {"confidence_threshold": 1.5}}),
    refused("chat", "diffusion.block_length", {"diffusion": {"block_length": 10**6}}),
    unsupported("chat", "diffusion.editing_threshold", {"diffusion": {"editing_threshold": 0.5}}),
    unsupported("chat", "diffusion.algorithm", {"diffusion": {"algorithm": "autoregressive"}}),
    refused("completion", "prompt", {"prompt": None}),
    refused("completion", "prompt", {"prompt": [10**9]}),
    refused("completion", "prompt", {"prompt": []}),
    refused("infill", "template", {"template": "no marker"}),
    refused("infill", "hole", {"hole": ""}),
    refused("infill", "hole_tokens", {"hole_tokens": 0}),
    refused("infill", "hole_tokens", {"hole_tokens": [1, 2, 3]}),
    refused("infill", None, {"hole_tokens": 10**6}, "context_length_exceeded"),
    unsupported("infill", "diffusion.block_length", {"diffusion": {"block_length": 8}}),
    Case(
        "no deadline",
        headers={"x-dllm-deadline-ms": "soon"},
        code="invalid_request_error",
        parameter="x-dllm-deadline-ms",
    ),
    Case(
        "too late",
        headers={"x-dllm-deadline-ms": "10"},
        forecast=Forecast(1.0, 2.0),
        code="deadline_exceeded",
        parameter="x-dllm-deadline-ms",
    ),
    Case("neither", headers={"x-dllm-strict": "perhaps"}, code="invalid_request_error", parameter="x-dllm-strict"),
    Case("no key", headers={"idempotency-key": "k k"}, code="invalid_request_error", parameter="idempotency-key"),
    Case(
        "several with a key",
        fields={"n": 2},
        headers={"idempotency-key": "k1"},
        code="unsupported_parameter",
        parameter="n",
    ),
    Case("nobody", headers={"authorization": ""}, code="invalid_api_key"),
    Case("a stranger", headers={"authorization": f"Bearer {KEY}x"}, code="invalid_api_key"),
    Case("another model's", declared=with_tenant(models=["huge"]), code="model_not_found", parameter="model"),
    Case("too many", declared=with_tenant(limits={"requests_per_minute": 1}), before=1, code="rate_limit_exceeded"),
    Case("too much", declared=with_tenant(limits={"work_per_minute": 1}), code="work_exceeds_limit"),
    Case(
        "beyond the budget",
        fields={"max_tokens": 8},
        declared=with_tenant(limits={"work_per_day": 100}),
        before=1,
        code="insufficient_quota",
    ),
    Case(
        "too large", fields={"user": "x" * 400}, settings=GatewaySettings(max_body_bytes=300), code="request_too_large"
    ),
    Case("no replica", script=failing(NoReplica("None is left.")), code="no_replica"),
    Case("busy", script=failing(Overloaded(retry_after=2.5)), code="overloaded"),
    Case("a defect", script=failing(ValueError("a secret")), code="internal_error"),
]
"""Errors before the first text."""

BROKEN = [
    Case("late after a text", script=failing(DeadlineExceeded("late"), "Hel"), code="deadline_exceeded"),
    Case("a defect after a text", script=failing(ValueError("a secret"), "Hel"), code="internal_error"),
]
"""Errors of streams behind a text."""


def named(cases: Iterable[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in cases])


async def outcomes(case: Case, *, stream: bool) -> tuple[Outcome, Outcome]:
    """Each of a gateway of its own, so that neither finds what the other has left."""
    rest, by_grpc = [await _outcome(case, over, stream=stream) for over in (over_rest, over_grpc)]
    return rest, by_grpc


async def _outcome(case: Case, over: Any, *, stream: bool) -> Outcome:
    pool, headers = (
        ScriptedPool(case.script, predicted=case.forecast),
        {**AUTHORIZED, "x-request-id": "r"} | dict(case.headers),
    )
    async with serving(pool, case.settings, declared=case.declared, **case.facts) as served:
        for _ in range(case.before):
            await over(served, case.kind, case.body, headers, stream=stream)
        outcome: Outcome = await asyncio.wait_for(over(served, case.kind, case.body, headers, stream=stream), 10)
        return outcome


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@named(ANSWERED)
async def test_an_answer_is_the_same(case: Case, stream: bool) -> None:
    rest, by_grpc = await outcomes(case, stream=stream)
    assert rest.error is None
    assert rest.texts
    assert by_grpc == rest


@named(WATCHED)
async def test_a_canvas_looks_the_same(case: Case) -> None:
    rest, by_grpc = await outcomes(case, stream=True)
    assert rest.views
    assert by_grpc == rest


@named(REFUSED)
async def test_an_error_is_the_same(case: Case) -> None:
    rest, by_grpc = await outcomes(case, stream=False)
    same_error(case, rest, by_grpc)


@named(case for case in REFUSED if case.name in ("nobody", "no deadline", "too many", "busy", "a defect"))
async def test_an_error_before_a_stream_is_the_same(case: Case) -> None:
    rest, by_grpc = await outcomes(case, stream=True)
    same_error(case, rest, by_grpc)
    assert rest.texts == by_grpc.texts == ()


@named(BROKEN)
async def test_an_error_behind_a_text_is_the_same(case: Case) -> None:
    rest, by_grpc = await outcomes(case, stream=True)
    assert rest.error is not None
    assert by_grpc.error is not None
    assert rest.texts == by_grpc.texts == ("Hel",)
    assert (rest.error["code"], rest.error["message"]) == (by_grpc.error["code"], by_grpc.error["message"])


def same_error(case: Case, rest: Outcome, by_grpc: Outcome) -> None:
    assert rest.error is not None
    assert by_grpc.error is not None
    assert (rest.error["code"], rest.error["param"]) == (case.code, case.parameter)
    for name in ("code", "param", "message", "request_id"):
        assert by_grpc.error[name] == rest.error[name], name
    assert (rest.error["status"], by_grpc.error["grpc_status"]) == STATUSES[case.code]
    assert str(by_grpc.error["retry_ms"]) == rest.headers.get("retry-after-ms", "None")
    assert by_grpc.error["is_quota"] == (rest.error["status"] in (402, 429))
    assert by_grpc.headers == rest.headers
    assert "secret" not in str(by_grpc)
