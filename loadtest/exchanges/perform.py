"""One request from its beginning to its end."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from loadtest.arrivals.arrival import Arrival
from loadtest.exchanges.account import Account, Clock, Failure
from loadtest.exchanges.grpc_stream import grpc_stream
from loadtest.exchanges.jobs import job
from loadtest.exchanges.leaving import cancelling, slow_reader
from loadtest.exchanges.streams import canvas_stream, chat_stream, stored_stream
from loadtest.exchanges.wholes import infill, unary
from loadtest.exchanges.wire import Wire
from loadtest.figures.sample import Sample
from loadtest.scenario.scenario import Kind

EXCHANGES: Mapping[Kind, Callable[[Wire, Account], None]] = MappingProxyType(
    {
        "chat_stream": chat_stream,
        "canvas_stream": canvas_stream,
        "stored_stream": stored_stream,
        "grpc_stream": grpc_stream,
        "unary": unary,
        "infill": infill,
        "job": job,
        "cancelling": cancelling,
        "slow_reader": slow_reader,
    }
)

DEADLINE_SLACK_SECONDS = 0.25
"""An answer that is this much later than its deadline may have been in time where it was written."""


def perform(wire: Wire, arrival: Arrival, clock: Clock) -> Sample:
    """What became of ``arrival``, which is asked now. ``clock`` is 0 at the start of the load."""
    account = Account(arrival, clock, began=clock())
    try:
        EXCHANGES[arrival.kind](wire, account)
    except Failure as failure:
        return account.sample(failure.outcome, failure.detail)
    except Exception:
        return account.sample("malformed", traceback.format_exc(limit=-2))
    sample = account.sample()
    deadline = wire.place.deadlines.get(arrival.tenant)
    if deadline is not None and sample.seconds > deadline + DEADLINE_SLACK_SECONDS:
        return replace(sample, outcome="deadline_missed", detail="the answer came after its deadline")
    return sample
