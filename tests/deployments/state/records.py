"""Records for tests."""

from __future__ import annotations

from uuid import uuid4

from deployments.state.record import RequestRecord


def fresh_record() -> RequestRecord:
    """A queued request of the gateway ``one`` under an id of its own."""
    return RequestRecord(
        id=f"req_{uuid4().hex}",
        tenant="acme",
        model="tiny-code",
        endpoint="/v1/completions",
        parameters={"max_tokens": 8, "stop": ["\n"], "diffusion": {"max_steps": None}},
        created_at=10.25,
        updated_at=10.25,
        owner="one",
    )
