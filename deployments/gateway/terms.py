"""What holds for a request beside its body, and the effort that this leaves it: whose it is, and when it is wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from deployments.errors import UnsupportedParameter
from deployments.gateway.deadline import HEADER, Deadline, parse_deadline
from deployments.gateway.effort import (
    EFFORTS,
    USUAL,
    AppliedEffort,
    Effort,
    Reason,
    adjustable,
    between,
    with_effort,
)

if TYPE_CHECKING:
    from deployments.pools.pool import Pool
    from deployments.tenancy.tenant import Tenant
    from dllm_worker.request import Request
    from dllm_worker.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Terms:
    """``quality_floor`` is the least effort that requests of ``tenant`` run with, unless they choose parameters."""

    tenant: str = ""
    quality_floor: Effort | None = None
    deadline: Deadline | None = None

    def affinity(self, cache_key: str | None) -> str | None:
        """A label that is equal for equal keys of one tenant only."""
        return None if cache_key is None else hashlib.sha256(f"{self.tenant}\0{cache_key}".encode()).hexdigest()[:16]


def terms_of(headers: Mapping[str, str], tenant: Tenant, pool: Pool, now: float) -> Terms:
    """The terms of a request with these headers, which came at ``now``. Raises :class:`InvalidRequest`."""
    milliseconds = parse_deadline(headers.get(HEADER))
    if milliseconds is None:
        return Terms(tenant.name, tenant.quality_floor)
    seconds = milliseconds / 1000
    return Terms(tenant.name, tenant.quality_floor, Deadline(seconds, now + seconds, pool.forecast))


def settle(
    request: Request, asked: Effort | None, spec: ModelSpec, chosen: Collection[str], terms: Terms
) -> tuple[Request, AppliedEffort | None]:
    """``request`` with the effort that was ``asked``, as far as ``terms`` allow, and the effort where one applies.

    The floor raises it; a deadline that would be missed lowers it, to the floor at most. Raises
    :class:`UnsupportedParameter` where effort means nothing to the algorithm, and :class:`DeadlineExceeded`.
    """
    if not adjustable(request):
        if asked is not None:
            message = f"Effort changes nothing for algorithm {request.sampling.algorithm}."
            raise UnsupportedParameter(message, parameter="reasoning_effort")
        return _in_time([(request, None)], terms)
    floor = terms.quality_floor or EFFORTS[0]
    wanted = asked or USUAL
    first = max(wanted, floor, key=EFFORTS.index)
    levels = between(first, floor) if terms.deadline else (first,)
    options = [
        (with_effort(request, level, spec, chosen), _applied(level, first, wanted, stated=asked is not None))
        for level in levels
    ]
    return _in_time(options, terms)


def _applied(level: Effort, first: Effort, wanted: Effort, *, stated: bool) -> AppliedEffort | None:
    """What to tell of ``level``: nothing where it is the usual one and nobody asked for one."""
    because: Reason | None = "deadline" if level != first else "quality_floor" if first != wanted else None
    return AppliedEffort(level, because) if stated or because else None


def _in_time(options: list[tuple[Request, AppliedEffort | None]], terms: Terms) -> tuple[Request, AppliedEffort | None]:
    """The first option that meets the deadline."""
    deadline = terms.deadline
    if deadline is None:
        return options[0]
    timed = [(replace(request, deadline=deadline.ends_at), effort) for request, effort in options]
    fitting = next((option for option in timed if deadline.fits(option[0])), None)
    if fitting is None:
        raise deadline.exceeded(timed[-1][0])
    return fitting
