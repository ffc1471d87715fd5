"""A plan as bytes, for the gateway that goes on with a request whose own gateway is gone."""

from __future__ import annotations

from pydantic import TypeAdapter

from deployments.gateway.plan import Plan

_PLAN: TypeAdapter[Plan] = TypeAdapter(Plan)


def encode_plan(plan: Plan) -> bytes:
    """The plan as JSON; it holds the client's text."""
    return _PLAN.dump_json(plan)


def decode_plan(data: bytes) -> Plan:
    """The inverse of :func:`encode_plan`. Raises :class:`ValueError` for the plan of another version."""
    return _PLAN.validate_json(data)
