"""From the record of a request that has ended to its entry in the ledger. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from deployments.state.record import RequestRecord
from deployments.tenancy.ledger.ledger import LedgerEntry

TENANCY = "tenancy"
"""The parameter of a record that says on whose terms it was accepted: ``key``, ``band``, ``work_weight``, ``first``."""


def entry_of(record: RequestRecord) -> LedgerEntry:
    """The entry of an ended request, whose ``usage`` is that of :func:`deployments.gateway.usage.usage_json`.

    A cancelled request pays what it had used; a failed one nothing, since the work that the service lost is not its
    tenant's. Raises :class:`ValueError` for a request that runs, and :class:`KeyError` where the record says too
    little.
    """
    if not record.has_ended:
        raise ValueError(f"{record.id} has not ended")
    terms = record.parameters[TENANCY]
    usage = record.usage if record.status != "failed" else None
    return LedgerEntry(
        id=record.id,
        tenant=record.tenant,
        key=terms["key"],
        model=record.model,
        endpoint=record.endpoint,
        band=terms["band"],
        status=record.status,
        created_at=record.created_at,
        ended_at=record.updated_at,
        requests=int(terms["first"]),
        error_code=record.error_code,
        **({} if usage is None else _costs(usage, terms["work_weight"], first=terms["first"])),
    )


def work_units(position_forwards: int, weight: float) -> int:
    """What so many position-forwards count as, by a weight that means the decimal number as it is written."""
    return math.ceil(position_forwards * Fraction(str(weight)))


def _costs(usage: Mapping[str, Any], weight: float, *, first: bool) -> dict[str, int]:
    work = usage["diffusion"]
    return {
        "prompt_tokens": usage["prompt_tokens"] if first else 0,
        "cached_tokens": usage["prompt_tokens_details"]["cached_tokens"] if first else 0,
        "completion_tokens": usage["completion_tokens"],
        "canvases": work["canvases"],
        "denoising_steps": work["denoising_steps"],
        "forward_passes": work["forward_passes"],
        "position_forwards": work["position_forwards"],
        "work": work_units(work["position_forwards"], weight),
    }
