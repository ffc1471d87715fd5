"""What a tenant can ask for, whatever protocol brings it: from a body that is valid to an answer on its way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from deployments.errors import InvalidRequest, UnsupportedParameter
from deployments.execution.execution import Work
from deployments.gateway.acceptance import Body, accepted, headers_of, note_plan, terms_of_answer
from deployments.gateway.arrival import Arrival
from deployments.gateway.bands import band_of
from deployments.gateway.begin import Begun, begin
from deployments.gateway.choices import choice_of
from deployments.gateway.context import Gateway
from deployments.gateway.idempotency import HEADER as IDEMPOTENCY
from deployments.gateway.model import Model, find_model
from deployments.gateway.plan import Plan, Planner
from deployments.gateway.planning import planned
from deployments.gateway.responses.body import ResponsesBody, told_of_responses
from deployments.gateway.responses.response import ENDPOINT as RESPONSES
from deployments.gateway.responses.response import asked_json
from deployments.gateway.schema import ChatBody, CompletionBody, GenerationBody, InfillBody
from deployments.gateway.strictness import HEADER as STRICT
from deployments.gateway.strictness import refuse_unknown
from deployments.gateway.telling import CHAT, COMPLETIONS, INFILL
from deployments.gateway.terms import terms_of
from deployments.tenancy.account import later

OPERATIONS = {CHAT: "chat", COMPLETIONS: "text_completion", INFILL: "infill", RESPONSES: "chat"}
"""What the GenAI conventions call what an endpoint does; they have no word for an infill."""


async def chat(gateway: Gateway, arrival: Arrival, body: ChatBody) -> Begun:
    """Answer a conversation."""
    return await _generate(gateway, arrival, body, CHAT, "chatcmpl", lambda planner: planner.chat(body), body.choices)


async def completion(gateway: Gateway, arrival: Arrival, body: CompletionBody) -> Begun:
    """Continue a prompt, or write what stands between it and a suffix."""
    return await _generate(
        gateway, arrival, body, COMPLETIONS, "cmpl", lambda planner: planner.completion(body), body.choices
    )


async def infill(gateway: Gateway, arrival: Arrival, body: InfillBody) -> Begun:
    """Fill the holes of a template."""
    return await _generate(gateway, arrival, body, INFILL, "infill", lambda planner: planner.infill(body))


async def response(gateway: Gateway, arrival: Arrival, body: ResponsesBody) -> Begun:
    """Answer an input, in the foreground or in the background, stored or not."""
    _note(arrival, body, RESPONSES)
    _require_scopes(arrival, stored=body.is_stored and bool(body.background))
    if body.background and not body.is_stored:
        raise InvalidRequest("A response in the background is stored.", parameter="store")
    if body.stream_options is not None and not body.stream:
        raise InvalidRequest("stream_options needs 'stream': true.", parameter="stream_options")
    _refuse_unknown(gateway, arrival, body)
    model = _model(gateway, arrival, body.model)
    with told_of_responses():
        plan = await _planned(gateway, arrival, model, "resp", lambda planner: planner.chat(body.as_chat()))
    telling = {"response": asked_json(body)}
    (work,) = _works(gateway, arrival, body, model, plan, RESPONSES, telling, durable=body.is_stored)
    begun = await begin(gateway, arrival, [work], outlives_client=bool(body.background))
    return replace(begun, headers={**headers_of(body, work), **begun.headers})


async def _generate(
    gateway: Gateway,
    arrival: Arrival,
    body: GenerationBody,
    endpoint: str,
    prefix: str,
    make: Callable[[Planner], Plan],
    choices: int = 1,
) -> Begun:
    _note(arrival, body, endpoint)
    stored = bool(body.store_stream)
    if choices > 1 and (stored or IDEMPOTENCY in arrival.headers):
        raise UnsupportedParameter("Only a request for one answer can be stored or repeated.", parameter="n")
    _require_scopes(arrival, stored=stored)
    _require_stream(body)
    _refuse_unknown(gateway, arrival, body)
    model = _model(gateway, arrival, body.model)
    plan = await _planned(gateway, arrival, model, prefix, make)
    options = body.stream_options
    telling = {"include_usage": bool(options and options.include_usage), "store_stream": stored, "choices": choices}
    works = _works(gateway, arrival, body, model, plan, endpoint, telling, durable=stored, choices=choices)
    begun = await begin(gateway, arrival, works, outlives_client=stored)
    return replace(begun, headers={**headers_of(body, works[0]), **begun.headers})


def _works(
    gateway: Gateway,
    arrival: Arrival,
    body: Body,
    model: Model,
    plan: Plan,
    endpoint: str,
    telling: Mapping[str, Any],
    *,
    durable: bool,
    choices: int = 1,
) -> Sequence[Work]:
    """One work for each choice of the answer to ``body``."""
    band = band_of(body.service_tier, arrival.tenant.bands)
    note_plan(arrival.observation, plan, band, choices)
    terms = terms_of_answer(arrival.access, band, model, plan)
    created = int(gateway.clock())
    works = [
        accepted(arrival, body, model, choice_of(plan, index), endpoint, created, telling, own)
        for index, own in enumerate([terms, *[later(terms)] * (choices - 1)])
    ]
    return [replace(work, record=replace(work.record, durable=durable)) for work in works]


def _note(arrival: Arrival, body: Body, endpoint: str) -> None:
    seen = arrival.observation
    seen.operation, seen.streams = OPERATIONS[endpoint], bool(body.stream)


def _model(gateway: Gateway, arrival: Arrival, name: str) -> Model:
    """The model, if it is served and the key opens it. Raises :class:`ModelNotFound`."""
    model = find_model(gateway.models, name, arrival.access)
    arrival.observation.model = model.id
    return model


async def _planned(
    gateway: Gateway, arrival: Arrival, model: Model, prefix: str, make: Callable[[Planner], Plan]
) -> Plan:
    """The plan of one request, with the terms that its headers and its tenant set."""
    terms = terms_of(arrival.headers, arrival.tenant, model.pool, gateway.clock())
    seed, length = gateway.new_seed(), gateway.settings.default_max_tokens
    answer_id, salt = gateway.new_id(prefix), arrival.tenant.cache_salt
    planner = Planner(model.description, model.text, length, answer_id, seed, salt, terms)
    return await planned(planner, make, len(arrival.payload), model.long_texts)


def _require_scopes(arrival: Arrival, *, stored: bool) -> None:
    arrival.access.require("generate")
    if stored:
        arrival.access.require("jobs")


def _refuse_unknown(gateway: Gateway, arrival: Arrival, body: Body) -> None:
    refuse_unknown(body.ignored(), arrival.headers.get(STRICT), usually=gateway.settings.refuse_unknown_parameters)


def _require_stream(body: GenerationBody) -> None:
    """Refuse what means nothing to an answer in one piece."""
    for name in ("stream_options", "store_stream"):
        if getattr(body, name) and not body.stream:
            raise InvalidRequest(f"{name} needs 'stream': true.", parameter=name)
