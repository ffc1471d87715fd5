"""Times that can be compared: everything that is compared is run in turn, and the fastest run of each counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch

Run = Callable[[], object]
Clock = Callable[[], float]


def synchronise(device: torch.device) -> None:
    """Wait for what an accelerator has been given to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def fastest(
    runs: Mapping[str, Run], repetitions: int, device: torch.device, clock: Clock = time.perf_counter
) -> dict[str, float]:
    """Seconds of the fastest of ``repetitions`` of each run, after one that is not counted.

    They take turns, so that whatever else the machine does meets all of them alike.
    """
    best = dict.fromkeys(runs, float("inf"))
    for repetition in range(repetitions + 1):
        for name, run in runs.items():
            synchronise(device)
            start = clock()
            run()
            synchronise(device)
            if repetition:
                best[name] = min(best[name], clock() - start)
    return best
