"""Records that have ended, and their entries, for tests."""

from __future__ import annotations

from typing import Any

from deployments.state.client import CallSettings, Client, ClientSettings
from deployments.state.connect import clients_at
from deployments.state.record import RequestRecord
from deployments.tenancy.ledger.ledger import Ledger, LedgerEntry
from tests.deployments.state.servers import Place

DAY = "2026-11-22"
NOON = 1_795_348_800.0
"""Twelve o'clock of that day."""

HOUR = 3600.0
USAGE: dict[str, Any] = {
    "prompt_tokens": 9,
    "completion_tokens": 64,
    "total_tokens": 73,
    "prompt_tokens_details": {"cached_tokens": 4},
    "diffusion": {
        "denoising_steps": 12,
        "forward_passes": 15,
        "prefill_forwards": 1,
        "commit_forwards": 2,
        "position_forwards": 400,
        "canvases": 2,
        "tokens_per_forward": 4.2667,
    },
}
TERMS: dict[str, Any] = {"key": "k1", "band": "default", "work_weight": 0.1, "first": True}


def ended(id: str = "cmpl-1", **changes: Any) -> RequestRecord:
    """A completed request of ``acme``."""
    facts: dict[str, Any] = {
        "id": id,
        "tenant": "acme",
        "model": "tiny-code",
        "endpoint": "/v1/completions",
        "parameters": {"max_tokens": 64, "tenancy": TERMS},
        "created_at": NOON - 2.5,
        "updated_at": NOON,
        "status": "completed",
        "finish_reason": "stop",
        "usage": USAGE,
    }
    return RequestRecord(**(facts | changes))


def entry(id: str = "cmpl-1", **changes: Any) -> LedgerEntry:
    """The entry of :func:`ended`."""
    facts: dict[str, Any] = {
        "id": id,
        "tenant": "acme",
        "key": "k1",
        "model": "tiny-code",
        "endpoint": "/v1/completions",
        "band": "default",
        "status": "completed",
        "created_at": NOON - 2.5,
        "ended_at": NOON,
        "prompt_tokens": 9,
        "cached_tokens": 4,
        "completion_tokens": 64,
        "canvases": 2,
        "denoising_steps": 12,
        "forward_passes": 15,
        "position_forwards": 400,
        "work": 40,
    }
    return LedgerEntry(**(facts | changes))


async def use_all(ledger: Ledger) -> None:
    """Make every call, so that each script reaches each of its commands."""
    assert await ledger.enter(entry())
    assert not await ledger.enter(entry())
    assert len(await ledger.usage("acme", DAY, DAY)) == 1
    assert [each async for each in ledger.entries("acme", DAY, DAY)] == [entry()]


def connected(place: Place) -> Client:
    """A client with the patience of a busy machine."""
    return clients_at(place.url, ClientSettings(state=CallSettings(timeout_seconds=20.0))).state
