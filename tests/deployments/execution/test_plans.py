from __future__ import annotations

import pytest

from deployments.execution.plans import decode_plan, encode_plan
from deployments.gateway.diffusion import Watch
from deployments.gateway.pieces import Hole, Pinned
from deployments.gateway.plan import Plan
from dllm_worker.interface import fingerprint
from dllm_worker.request import CacheParameters, Request, SamplingParameters

TEMPLATE = Request(
    id="infill-1",
    prompt=(1, 2, 3),
    template=(None, 7, None, None),
    context_attention="causal",
    sampling=SamplingParameters(algorithm="renoise", threshold=0.1 + 0.2, temperature=1e-7, seed=2**62, quota=3),
    cache=CacheParameters("dual", refresh_every=4),
    cache_salt="salt",
    deadline=1_700_000_000.123,
    drafts=True,
)


@pytest.mark.parametrize(
    "plan",
    [
        Plan(TEMPLATE, (Hole(1), Pinned("", 1), Hole(2)), watch=Watch("patch", 2), affinity="a"),
        Plan(Request(id="cmpl-1", max_tokens=5), (Hole(5),), stops=("\n", "né")),
    ],
    ids=["template", "continuation"],
)
def test_a_plan_survives_its_bytes_to_the_last_bit(plan: Plan) -> None:
    again = decode_plan(encode_plan(plan))
    assert again == plan
    assert fingerprint(again.request) == fingerprint(plan.request)


def test_the_plan_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="request"):
        decode_plan(b"{}")
