from __future__ import annotations

import torch

from dllm_worker.bench.timing import fastest

CPU = torch.device("cpu")


class Day:
    """A clock that only the runs move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_fastest_counted_run_of_each_counts_and_they_take_turns() -> None:
    day, log = Day(), []
    lengths = {"a": iter([0.5, 3.0, 2.0]), "b": iter([9.0, 7.0, 8.0])}

    def run(name: str) -> None:
        log.append(name)
        day.now += next(lengths[name])

    runs = {"a": lambda: run("a"), "b": lambda: run("b")}
    assert fastest(runs, 2, CPU, day) == {"a": 2.0, "b": 7.0}
    assert log == ["a", "b"] * 3
