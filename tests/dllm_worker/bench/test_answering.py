from __future__ import annotations

import pytest

from dllm_worker.bench.answering import answer, limits_for, work_of
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Request, SamplingParameters
from dllm_worker.work import Look, network_cost

STEPWISE = SamplingParameters(algorithm="low_confidence", max_steps=2, eos="ignore")


def requests(count: int, prompt: int = 0) -> list[Request]:
    tokens = tuple(range(2, 2 + prompt))
    return [Request(str(i), tokens, max_tokens=8, sampling=STEPWISE) for i in range(count)]


def test_every_request_is_answered_whole(tiny_model: LoadedModel) -> None:
    answers = answer(tiny_model, requests(3))
    assert [len(tokens) for tokens in answers.tokens.values()] == [8, 8, 8]
    assert answers.count == 24
    assert answers.tokens_per_forward == pytest.approx(8 / 2)


def test_answers_are_compared_token_by_token(tiny_model: LoadedModel) -> None:
    answers = answer(tiny_model, requests(2))
    assert answers.equal_to(answers.tokens["0"]) == 1.0
    assert answers.equal_to([*answers.tokens["0"][:-1], -1]) == 0.0


def test_the_work_of_each_pass_is_that_of_its_rows(tiny_model: LoadedModel) -> None:
    cost = network_cost(tiny_model.denoiser)
    both = [Look(8), Look(8)]
    assert work_of(tiny_model, requests(2)) == [cost.of(both, head_rows=16), cost.of(both, head_rows=8)]


def test_the_context_is_part_of_the_work(tiny_model: LoadedModel) -> None:
    cost = network_cost(tiny_model.denoiser)
    joined = cost.of([Look(8, stored=True), Look(8, before=8)], head_rows=8)
    assert work_of(tiny_model, requests(1, prompt=8)) == [joined, cost.of([Look(8, before=8)], head_rows=4)]


def test_the_engine_has_room_for_all_at_once(tiny_model: LoadedModel) -> None:
    limits = limits_for(tiny_model, requests(5, prompt=40))
    assert limits.max_running == 5
    assert limits.cache_positions >= 5 * 48
