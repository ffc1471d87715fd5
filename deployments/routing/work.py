"""What a run asks of the replica that takes it, in position-forwards."""

from __future__ import annotations

from dataclasses import dataclass

from deployments.routing.sketch import page_name
from deployments.run import Run
from dllm_worker.cache.prefix import page_hashes, page_size_of, prefix_key
from dllm_worker.canvas import first_start
from dllm_worker.forecast import reached, refresh_ahead, work_left
from dllm_worker.scheduling.planner import StepBudget
from dllm_worker.spec import ModelSpec

MOST_PAGES = 128
"""Pages of a prompt that are looked for; what lies behind them weighs little in the choice and costs hashing."""


@dataclass(frozen=True, slots=True)
class Demand:
    """One run as the router sees it; ``key`` names it among all runs.

    ``work`` is the position-forwards that it has left if nothing of it is cached, ``refresh`` the positions of the
    refresh phase that fall due in each of its next steps, of which a step takes ``refresh_share``. ``pages`` names the
    whole pages of its prompt, of ``page_size`` positions each. ``avoid`` and ``affinity`` are those of the run.
    """

    key: str
    work: int
    refresh: tuple[int, ...] = ()
    refresh_share: int = StepBudget().refresh_share
    pages: tuple[int, ...] = ()
    page_size: int = 1
    avoid: tuple[str, ...] = ()
    affinity: str | None = None


def demand_of(run: Run, spec: ModelSpec, tokens_per_step: float, refresh_share: int) -> Demand:
    """What ``run`` asks for, if a denoising step settles ``tokens_per_step`` positions of a canvas in the mean."""
    request = run.request
    at = reached(request, spec, run.committed)
    key = prefix_key(request, spec)
    size = page_size_of(spec)
    context = request.prompt[: min(first_start(request, spec), MOST_PAGES * size)]
    digests = () if key is None else page_hashes(context, size, key)
    return Demand(
        key=f"{request.id} {run.epoch}",
        work=work_left(request, spec, at, tokens_per_step),
        refresh=refresh_ahead(request, spec, at, tokens_per_step),
        refresh_share=refresh_share,
        pages=tuple(page_name(digest) for digest in digests),
        page_size=size,
        avoid=run.avoid,
        affinity=run.affinity,
    )
