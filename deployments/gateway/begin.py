"""From works that are planned to answers that are on their way, whatever protocol tells them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from deployments.execution.execution import Execution, Work
from deployments.gateway.arrival import Arrival
from deployments.gateway.assembler import Output
from deployments.gateway.choices import merged
from deployments.gateway.context import Gateway
from deployments.gateway.idempotency import HEADER, REPLAYED, answered, earlier, idempotency_key
from deployments.gateway.limit_headers import headers_of as limit_headers
from deployments.gateway.pacing import to_its_end
from deployments.gateway.records import asking
from deployments.state.record import RequestRecord
from deployments.telemetry.attributes import ADMIT, LIMIT_MODE, RESERVED_TOKENS, RESERVED_WORK
from deployments.telemetry.spans import Attributes, Trace
from deployments.tenancy.account import Account, Terms

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from deployments.state.store import RequestStore
    from deployments.tenancy.limits.limiter import Levels

Outputs = AsyncGenerator[tuple[Output, ...]]
Finding = Callable[["RequestStore", RequestRecord, str, str, float], Awaitable[RequestRecord | None]]


@dataclass(frozen=True, slots=True)
class Begun:
    """An answer on its way, or that of an earlier request that is told again.

    ``record`` says how it is told; ``outputs`` are to be taken once. ``headers`` are told beside it.
    """

    record: RequestRecord
    outputs: Callable[[], Outputs]
    headers: dict[str, str]


async def begin(gateway: Gateway, arrival: Arrival, works: Sequence[Work], *, outlives_client: bool) -> Begun:
    """The answer of ``works``, one for each choice, or of the earlier request that the idempotency key stands for.

    A client that leaves ends the run, unless it ``outlives_client``: then it can be asked for again. The most that it
    can cost is reserved before. Raises the refusals of the limits, and of the store for a request that is to be kept.
    """
    trace = Trace.below(gateway.telemetry.tracer, arrival.observation.context, gateway.clock)
    with trace.during(ADMIT) as span:
        return await _admit(gateway, arrival, works, span, outlives_client=outlives_client)


async def _admit(
    gateway: Gateway, arrival: Arrival, works: Sequence[Work], span: Span, *, outlives_client: bool
) -> Begun:
    key = idempotency_key(arrival.headers.get(HEADER))
    if key is not None:
        outlives_client = True
        works = [replace(work, record=replace(work.record, durable=True)) for work in works]
        known = await _earlier(gateway, arrival, works[0].record, key, answered)
        if known is not None:
            return _again(gateway, known)
    accounts, levels = await gateway.accounts.reserve(arrival.tenant, [work.record for work in works])
    span.set_attributes(_reserved(works, levels))
    headers = limit_headers(levels)
    try:
        known = None if key is None else await _earlier(gateway, arrival, works[0].record, key, earlier)
        executions = [] if known is not None else await _start(gateway, arrival, works, accounts)
    except BaseException:
        await to_its_end(accounts[0].reservation.give_back())
        raise
    if known is not None:
        await accounts[0].reservation.give_back()
        return _again(gateway, known)
    if any(execution.degraded for execution in executions):
        headers["x-dllm-degraded"] = ", ".join(filter(None, ("state", headers.get("x-dllm-degraded"))))
    drafts = works[0].plan.watch is not None

    def outputs() -> Outputs:
        told = merged([gateway.executions.tell(execution, drafts=drafts) for execution in executions])
        return told if outlives_client else attended(executions, told)

    return Begun(works[0].record, outputs, headers)


async def _start(
    gateway: Gateway, arrival: Arrival, works: Sequence[Work], accounts: Sequence[Account]
) -> list[Execution]:
    """All of them, or none."""
    started: list[Execution] = []
    try:
        for work, account in zip(works, accounts, strict=True):
            started.append(await gateway.executions.start(work, account, arrival.observation))
    except BaseException:
        for execution in started:
            await to_its_end(execution.cancel())
        raise
    return started


def _reserved(works: Sequence[Work], levels: Levels) -> Attributes:
    terms = [Terms.of(work.record) for work in works]
    return {
        LIMIT_MODE: levels.mode,
        RESERVED_WORK: sum(each.work for each in terms),
        RESERVED_TOKENS: sum(each.tokens for each in terms),
    }


async def attended(executions: Sequence[Execution], outputs: Outputs) -> Outputs:
    """``outputs`` of executions that end when nobody takes them any more."""
    try:
        async with aclosing(outputs):
            async for batch in outputs:
                yield batch
    finally:
        for execution in executions:
            await to_its_end(execution.cancel())


def _again(gateway: Gateway, known: RequestRecord) -> Begun:
    """The answer of a request that has run, which costs nothing once more."""
    return Begun(known, partial(gateway.executions.follow, known.key), dict(REPLAYED))


async def _earlier(
    gateway: Gateway, arrival: Arrival, record: RequestRecord, key: str, found: Finding
) -> RequestRecord | None:
    async with asking(gateway, f"the idempotency key of request {record.id}"):
        return await found(gateway.store, record, key, arrival.digest, gateway.clock())
