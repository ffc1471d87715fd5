"""What a run asks of a replica, and what of that reaches the replica."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from deployments.routing.sketch import page_name
from deployments.routing.ticket import Ticket
from deployments.routing.work import MOST_PAGES, Demand, demand_of
from deployments.run import Run
from dllm_worker.cache.prefix import page_hashes, page_size_of, prefix_key
from dllm_worker.models.checkpoint import describe, resolve_checkpoint
from dllm_worker.request import Request, SamplingParameters

SPEC = describe(resolve_checkpoint("embedded:tiny-code")).spec
SAMPLING = SamplingParameters(algorithm="confidence_threshold")
REQUEST = Request("a", prompt=tuple(range(5, 101)), max_tokens=64, canvas_length=32, sampling=SAMPLING)


def demand(run: Run, tokens_per_step: float = 4.0) -> Demand:
    return demand_of(run, SPEC, tokens_per_step, refresh_share=128)


def test_a_new_run_prefills_its_prompt_and_denoises_every_canvas() -> None:
    asked = demand(Run(REQUEST))
    assert asked.refresh[0] == 96
    assert asked.work == 96 + 2 * (64 // 2 // 4) * 32 + 32
    assert asked.refresh_share == 128


def test_faster_canvases_are_less_work() -> None:
    assert demand(Run(REQUEST), 8.0).work < demand(Run(REQUEST), 4.0).work


def test_a_run_that_goes_on_has_less_to_denoise_and_more_to_prefill() -> None:
    begun, resumed = demand(Run(REQUEST)), demand(Run(REQUEST, epoch=2, checkpoint=b"x", committed=32))
    assert resumed.refresh[0] == 96 + 32
    assert resumed.work < begun.work
    assert resumed.key != begun.key


def test_its_pages_are_those_that_a_replica_would_cache_for_it() -> None:
    key = prefix_key(REQUEST, SPEC)
    assert key is not None
    digests = page_hashes(REQUEST.prompt, page_size_of(SPEC), key)
    asked = demand(Run(REQUEST))
    assert asked.pages == tuple(map(page_name, digests))
    assert asked.pages
    assert asked.page_size == page_size_of(SPEC)
    assert not set(asked.pages) & set(demand(Run(replace(REQUEST, cache_salt="another"))).pages)


def test_a_request_that_shares_nothing_has_no_pages() -> None:
    assert demand(Run(replace(REQUEST, context_attention="bidirectional"))).pages == ()


def test_only_the_first_pages_of_a_long_prompt_are_looked_for() -> None:
    long = replace(REQUEST, prompt=(7,) * (MOST_PAGES + 9) * page_size_of(SPEC))
    assert len(demand(Run(long)).pages) == MOST_PAGES


@pytest.mark.parametrize("field", ["avoid", "affinity"])
def test_where_it_may_go_and_would_like_to_is_the_run_s_own(field: str) -> None:
    run = Run(REQUEST, avoid=("b",), affinity="together")
    assert getattr(demand(run), field) == getattr(run, field)


def test_a_ticket_reaches_the_replica_empty() -> None:
    ticket = Ticket(Demand("x", work=1, pages=tuple(range(MOST_PAGES))))
    ticket.chosen, ticket.tries = "a", 3
    arrived = pickle.loads(pickle.dumps(ticket))  # noqa: S301
    assert (arrived.demand, arrived.chosen, arrived.tries) == (None, "", 0)
    assert len(pickle.dumps(ticket)) < 100
