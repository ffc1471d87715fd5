from __future__ import annotations

from dllm_worker.forecast import Reached
from dllm_worker.interface import EngineLimits
from dllm_worker.request import Request, Usage
from dllm_worker.scheduling.prospect import FIRST_TOKENS_PER_STEP, Prospect
from tests.dllm_worker.test_canvas import spec


def test_what_a_step_settles_is_learned_from_those_that_ended() -> None:
    prospect = Prospect(spec(), EngineLimits())
    prospect.learn(Usage(completion_tokens=0, denoising_steps=0))
    assert prospect.tokens_per_step == FIRST_TOKENS_PER_STEP
    for _ in range(100):
        prospect.learn(Usage(completion_tokens=64, denoising_steps=8))
    assert round(prospect.tokens_per_step, 3) == 8.0


def test_faster_steps_mean_less_work() -> None:
    slow, fast = Prospect(spec(), EngineLimits()), Prospect(spec(), EngineLimits())
    for _ in range(100):
        fast.learn(Usage(completion_tokens=64, denoising_steps=8))
    request = Request("a", (5,) * 8, max_tokens=32)
    at = Reached(8, 8, cached=8)
    assert fast.backlog([(request, at)]) < slow.backlog([(request, at)])


def test_refresh_work_beyond_a_step_is_left_to_the_next() -> None:
    prospect = Prospect(spec(), EngineLimits(position_budget=40))
    requests = [(Request(str(i), (5,) * 16, max_tokens=32), Reached(16, 8)) for i in range(2)]
    assert prospect.refresh_due(requests)[:4] == (10, 10, 10, 2)
    assert prospect.refresh_due([]) == (0,) * 8
