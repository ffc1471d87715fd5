"""Decoding against the published loops, where they and the engine's algorithms ask for the same in every step.

The engine takes the mask out of the distribution before it measures confidence and the references do not, which
changes no decision of these cases.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from dllm_worker.engine import Engine
from dllm_worker.request import Commit, Draft, Event, Request, SamplingParameters
from dllm_worker.spec import ModelSpec
from tests.dllm_worker.models import golden

STATIC = "low_confidence_static"
DYNAMIC = "low_confidence_dynamic"
CASES = [
    ("a2d_qwen3_bd3lm", "low_confidence"),
    ("llada", "llada_low_confidence_single_block_one_token_per_step"),
    ("sdar", f"{STATIC}_block4"),
    ("sdar", f"{STATIC}_two_per_step"),
    ("sdar", f"{STATIC}_unaligned_prompt"),
    ("sdar", f"{STATIC}_prompt_shorter_than_block"),
    ("sdar", f"{STATIC}_remainder_quota"),
    ("sdar", f"{DYNAMIC}_block4"),
    ("sdar", f"{DYNAMIC}_block8"),
    ("sdar", f"{DYNAMIC}_default_threshold"),
    ("llada2", "threshold_one_per_step"),
    ("llada2", "release_threshold_0.95"),
]


def request(case: dict[str, Any], spec: ModelSpec) -> Request:
    """Thresholds without a quota above one are ``confidence_threshold``, everything else is ``low_confidence``."""
    asked = case["hyper_parameters"]
    threshold = asked.get("confidence_threshold") or asked.get("threshold")
    sampling = SamplingParameters(
        algorithm="confidence_threshold" if threshold else "low_confidence",
        max_steps=steps_of_a_canvas(asked),
        threshold=threshold or 1.0,
    )
    prompt, final = alone(case, "prompt_ids", "prompts"), alone(case, "final_ids")
    block = asked.get("block_length") or asked["block_size"]
    length = None if spec.context_attention == "bidirectional" else block
    answer = len(final) - len(prompt)
    return Request("a", tuple(prompt), max_tokens=answer, canvas_length=length, sampling=sampling, drafts=True)


def steps_of_a_canvas(asked: dict[str, Any]) -> int:
    """BD3-LM counts the steps of all blocks."""
    if "max_new_tokens" in asked:
        return int(asked["steps"] * asked["block_size"] / asked["max_new_tokens"])
    return int(asked.get("denoising_steps") or asked["steps"])


def alone(case: dict[str, Any], *names: str) -> list[int]:
    """The ids under the first of ``names`` that is there, of the only row where there are rows."""
    ids: list[Any] = next(case[name] for name in names if name in case)
    return ids[0] if isinstance(ids[0], list) else ids


def canvases(case: dict[str, Any]) -> list[list[int]]:
    """The block, or the generated part, after each denoising step."""
    rows = [step["rows"][0] if "rows" in step else step for step in case["steps"]]
    return [row.get("block_after", row.get("canvas_after")) for row in rows if "eligible" in row]


@pytest.mark.parametrize(("family", "name"), CASES, ids=[f"{family}-{name}" for family, name in CASES])
def test_every_step_leaves_the_same_canvas(family: str, name: str) -> None:
    cases = json.loads((golden.folder(family) / "decode.json").read_text())["cases"]
    case = next(case for case in cases if case["name"] == name)
    model = golden.model(family)
    engine = Engine(model)
    asked = request(case, model.spec)
    engine.add(asked)
    events: list[Event] = []
    while engine.has_work:
        events += engine.step()
    drafts = [list(event.tokens) for event in events if isinstance(event, Draft)]
    assert drafts == [after[-len(draft) :] for after, draft in zip(canvases(case), drafts, strict=True)]
    answer = [token for event in events if isinstance(event, Commit) for token in event.tokens]
    assert [*asked.prompt, *answer] == alone(case, "final_ids")
