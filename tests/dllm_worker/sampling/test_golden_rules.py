"""The rules against what the published decoders did with the confidences they recorded; no model is run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from dllm_worker.request import Algorithm
from dllm_worker.sampling.samplers import accept, edit
from dllm_worker.sampling.schedule import ancestral_probability, quota, share
from tests.dllm_worker.models.golden import folder
from tests.dllm_worker.sampling.canvases import bounds, scores, side_by_side, together

Case = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """A recorded step: ``values`` are those of the eligible positions, under the name of the score they are.

    ``settled`` are the confidences of settled positions, ``changed`` says which of them would get another token.
    """

    algorithm: Algorithm
    score: str
    values: list[float]
    expected: list[bool]
    bounds: Mapping[str, float]
    recorded_quota: int | None = None
    settled: list[float] = field(default_factory=list)
    changed: list[bool] = field(default_factory=list)
    edited: list[bool] = field(default_factory=list)


def chosen(step: Case, among: str = "eligible", what: str = "committed") -> list[bool]:
    return [position in step[what] for position in step[among]]


def numbered(case: Case, key: str) -> Iterator[tuple[int, Case]]:
    """The denoising steps, counted within their block."""
    counts: dict[int, int] = {}
    recorded: list[Case] = case.get("steps") or case.get("steps_log") or []
    for step in recorded:
        if "eligible" in step and "committed" in step:
            number = counts.get(step.get(key, 0), 0)
            counts[step.get(key, 0)] = number + 1
            yield number, step


def llada(case: Case) -> Iterator[Step]:
    asked = case["hyper_parameters"]
    steps = asked["steps"] * asked["block_length"] // asked["gen_length"]
    for number, step in numbered(case, "block"):
        masked = len(step["eligible"])
        if asked["threshold"] is not None:
            yield Step(
                "confidence_threshold",
                "confidence",
                step["confidence"],
                chosen(step),
                {"threshold": asked["threshold"]},
            )
        elif asked["factor"] is not None:
            yield Step("factor", "confidence", step["confidence"], chosen(step), {"factor": asked["factor"]})
        else:
            owed = {"quota": quota("linear", number, steps, asked["block_length"], masked)}
            if asked["remasking"] == "random":
                yield Step("random", "order", step["random_confidence"], chosen(step), owed)
            else:
                yield Step("low_confidence", "confidence", step["confidence"], chosen(step), owed)


DREAM: dict[str, tuple[Algorithm, str]] = {
    "entropy": ("low_entropy", "entropy"),
    "maskgit_plus": ("maskgit_plus", "confidence"),
    "topk_margin": ("topk_margin", "margin"),
    "origin": ("ancestral", "order"),
    "confidence_threshold": ("capped_threshold", "confidence"),
}


def dream(case: Case) -> Iterator[Step]:
    """In blocks every ranking is by entropy, and the threshold knows no quota."""
    asked = case["hyper_parameters"]
    length = asked["block_length"] or asked["max_new_tokens"]
    steps = asked["steps"] * length // asked["max_new_tokens"]
    for number, step in numbered(case, "block"):
        masked, mode = len(step["eligible"]), step["mode"]
        if mode == "first_token_of_block":
            continue
        algorithm, score = DREAM[mode]
        values = step["uniforms"] if mode == "origin" else step["confidence"]
        limits: dict[str, float] = {"probability": ancestral_probability(number, steps) if mode == "origin" else 0.0}
        if mode == "confidence_threshold":
            limits |= {"threshold": asked["threshold"], "quota": quota("linear", number, steps, length, masked)}
            algorithm = "confidence_threshold" if asked["block_length"] else algorithm
            limits["quota"] = 1 if asked["block_length"] else limits["quota"]
        elif mode != "origin":
            limits["quota"] = quota("dream", number, steps, length, masked)
            algorithm, score = DREAM["entropy"] if asked["block_length"] else (algorithm, score)
        if score == "entropy":
            values = [-value for value in values]
        yield Step(algorithm, score, values, chosen(step), limits, step.get("quota"))


def llada2(case: Case) -> Iterator[Step]:
    asked = case["hyper_parameters"]
    steps = min(asked["steps"], asked["gen_length"] // asked["minimal_topk"])
    for _, step in numbered(case, "block"):
        limits = {
            "quota": share("linear", step["step"], steps, asked["block_length"]),
            "threshold": asked["threshold"],
            "strict": True,
        }
        yield Step("quota_threshold", "confidence", step["confidence"], chosen(step), limits, step["quota"])


def llada21(case: Case) -> Iterator[Step]:
    """Proposals at settled positions are not recorded: one that stays above the threshold is the token there."""
    asked = case["hyper_parameters"]
    for _, step in numbered(case, "block"):
        edited = chosen(step, "edit_candidates", "edited")
        below = [value <= asked["editing_threshold"] for value in step["edit_candidate_confidence"]]
        yield Step(
            "joint_threshold",
            "confidence",
            step["confidence"],
            chosen(step),
            {
                "quota": asked["num_to_transfer"],
                "threshold": asked["threshold"],
                "editing_threshold": asked["editing_threshold"],
                "strict": True,
            },
            settled=step["edit_candidate_confidence"],
            changed=[own or other for own, other in zip(edited, below, strict=True)],
            edited=edited,
        )


SDAR: dict[str, tuple[Algorithm, str]] = {
    "low_confidence_static": ("low_confidence", "confidence"),
    "low_confidence_dynamic": ("quota_threshold", "confidence"),
    "sequential": ("leftmost", "confidence"),
    "entropy_bounded": ("entropy_sum", "entropy"),
}


def sdar(case: Case) -> Iterator[Step]:
    asked = case["hyper_parameters"]
    algorithm, score = SDAR[asked["remasking_strategy"]]
    for _, step in numbered(case, "block"):
        limits = {
            "quota": share("linear", step["step"], asked["denoising_steps"], asked["block_length"]),
            "threshold": asked["confidence_threshold"] or 1.0,
            "entropy_bound": asked.get("eb_threshold", 0.0),
            "strict": True,
        }
        yield Step(algorithm, score, step[score], chosen(step), limits, step["quota"])


def a2d(case: Case) -> Iterator[Step]:
    asked = case["hyper_parameters"]
    blocks = -(-asked["max_new_tokens"] // asked["block_size"])
    steps = -(-asked["steps"] // blocks)
    opened: dict[tuple[int, int], int] = {}
    for record in case["steps"]:
        for number, row in enumerate(record.get("rows", [])):
            if "eligible" not in row:
                continue
            masked = len(row["eligible"])
            start = opened.setdefault((record["block"], number), masked)
            limits = {"quota": quota("rounded", record["step"], steps, start, masked)}
            if asked["remasking"] == "random":
                yield Step("random", "order", row["random_confidence"], chosen(row), limits)
            else:
                yield Step("low_confidence", "confidence", row["confidence"], chosen(row), limits)


def by_threshold(strict: bool) -> Callable[[Case], Iterator[Step]]:
    def steps(case: Case) -> Iterator[Step]:
        threshold = case["hyper_parameters"]["threshold"]
        algorithm: Algorithm = "low_confidence" if threshold is None else "confidence_threshold"
        for _, step in numbered(case, "block_start"):
            limits = {"threshold": threshold or 1.0, "strict": strict}
            yield Step(algorithm, "confidence", step["confidence"], chosen(step), limits)

    return steps


FAMILIES: dict[str, Callable[[Case], Iterator[Step]]] = {
    "llada": llada,
    "dream": dream,
    "llada2": llada2,
    "llada21": llada21,
    "sdar": sdar,
    "a2d_qwen3_bd3lm": a2d,
    "fast_dllm_v2": by_threshold(strict=True),
    "nemotron_labs_diffusion": by_threshold(strict=False),
}


@cache
def cases(family: str) -> dict[str, Case]:
    """The recorded cases in which a rule decided something."""
    every = json.loads((folder(family) / "decode.json").read_text())["cases"]
    return {case["name"]: case for case in every if any(True for _ in FAMILIES[family](case))}


RECORDED = [(family, name) for family in FAMILIES for name in cases(family)]


@pytest.mark.parametrize("family", FAMILIES)
def test_there_is_something_to_replay(family: str) -> None:
    assert len(cases(family)) >= 5


@pytest.mark.parametrize(("family", "name"), RECORDED, ids=[f"{family}-{name}" for family, name in RECORDED])
def test_every_step_accepts_and_edits_what_the_reference_did(family: str, name: str) -> None:
    steps = list(FAMILIES[family](cases(family)[name]))
    parts = [
        scores(
            [*step.values, *step.settled],
            masked=[True] * len(step.values) + [False] * len(step.settled),
            changed=[False] * len(step.values) + step.changed,
            **{step.score: [*step.values, *step.settled]},
        )
        for step in steps
    ]
    limits = side_by_side([bounds(**step.bounds) for step in steps])
    algorithms = [step.algorithm for step in steps]
    accepted = accept(algorithms, together(parts), limits)
    edited = edit(algorithms, together(parts), limits)
    for step, own_accepted, own_edited in zip(steps, accepted.tolist(), edited.tolist(), strict=True):
        count = len(step.values)
        assert own_accepted[:count] == step.expected
        assert not any(own_accepted[count:])
        assert own_edited[count : count + len(step.edited)] == step.edited
        assert step.recorded_quota in (None, step.bounds.get("quota"))
