"""What is wrong with a ledger, given what clients were told. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Json = dict[str, Any]

SUMMED = (
    "requests",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "denoising_steps",
    "forward_passes",
    "position_forwards",
    "work",
)


def costs(usage: Mapping[str, Any]) -> Json:
    """What the ``usage`` of an answer comes to in the ledger, where a position-forward is one work unit."""
    work = usage["diffusion"]
    return {
        "prompt_tokens": usage["prompt_tokens"],
        "cached_tokens": usage["prompt_tokens_details"]["cached_tokens"],
        "completion_tokens": usage["completion_tokens"],
        "canvases": work["canvases"],
        "denoising_steps": work["denoising_steps"],
        "forward_passes": work["forward_passes"],
        "position_forwards": work["position_forwards"],
        "work": work["position_forwards"],
    }


def mistakes(told: Mapping[str, Json | None], entries: Sequence[Json], usage: Json) -> tuple[str, ...]:
    """Whatever differs between the usages that were ``told`` by request, ``None`` where none was, the ledger's
    ``entries`` and its answer about ``usage`` by day and model.
    """
    return (*_in_entries(told, entries), *_in_sums(told, entries, usage))


def _in_entries(told: Mapping[str, Json | None], entries: Sequence[Json]) -> Iterator[str]:
    times = Counter(entry["id"] for entry in entries)
    yield from (f"{id} is entered {number} times" for id, number in times.items() if number > 1)
    yield from (f"{id} is not entered" for id, usage in told.items() if usage is not None and id not in times)
    for entry in entries:
        usage = told.get(entry["id"])
        billed = {name: entry[name] for name in (*SUMMED[1:], "canvases")}
        due = dict.fromkeys(billed, 0) if usage is None else costs(usage)
        if billed != due:
            yield f"{entry['id']} is {entry['status']} and billed {billed} instead of {due}"


def _in_sums(told: Mapping[str, Json | None], entries: Sequence[Json], usage: Json) -> Iterator[str]:
    summed = {name: sum(entry[name] for entry in entries) for name in SUMMED}
    rows = {name: sum(row[name] for row in usage["data"]) for name in SUMMED}
    due = Counter[str]()
    for one in told.values():
        due.update({} if one is None else costs(one))
    if usage["total"] != summed or rows != summed:
        yield f"the entries come to {summed}, the rows to {rows}, the total is {usage['total']}"
    if any(due[name] != summed[name] for name in SUMMED[1:]):
        yield f"clients were told {dict(due)}, the ledger has {summed}"
