from __future__ import annotations

import subprocess
import sys

import pytest

from dllm_worker.interface import EngineLimits
from dllm_worker.models.checkpoint import describe, resolve_checkpoint
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.simulated.trial import VirtualTime, simulated_trial


@pytest.mark.parametrize(("name", "floor"), [("tiny-code", 0.95), ("tiny-sudoku", 0.95)])
def test_a_full_engine_comes_close_to_the_peak(name: str, floor: float) -> None:
    description = describe(resolve_checkpoint(f"embedded:{name}"))
    trial = simulated_trial(description, SimulatedDevice(), EngineLimits(), 1 << 30)
    assert trial.peak == pytest.approx(400e12)
    assert floor < trial.plateau(0.5) < 1


def test_virtual_time_passes_where_somebody_sleeps() -> None:
    time = VirtualTime()
    time.sleep(2.5)
    assert time.now() == 2.5


def test_it_needs_no_torch() -> None:
    program = "import sys, dllm_worker.simulated.trial; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
