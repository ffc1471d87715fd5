from __future__ import annotations

from typing import Any

import pytest

from deployments.errors import ContextLengthExceeded, InvalidRequest, ServingError, UnsupportedParameter
from deployments.gateway.diffusion import Watch
from deployments.gateway.pieces import Hole, Pinned
from deployments.gateway.plan import Plan, Planner
from deployments.gateway.schema import ChatBody, CompletionBody, InfillBody
from dllm_worker.models.checkpoint import ModelDescription
from dllm_worker.request import SamplingParameters
from dllm_worker.text import Text
from dllm_worker.validate import validate
from tests.deployments.gateway.scripted import BIDIRECTIONAL, BOS, byte_text, spec

DEFAULTS = SamplingParameters(threshold=0.7, temperature=0.2, max_steps=9)


def planner(text: Text | None = None, **facts: Any) -> Planner:
    description = ModelDescription(spec(**facts), DEFAULTS, "rev")
    return Planner(description, text or byte_text(), 100, "id", 11)


def tokens(text: str) -> tuple[int, ...]:
    return tuple(byte_text().encode(text))


def chat(words: str = "hi", **fields: Any) -> ChatBody:
    return ChatBody.model_validate({"model": "tiny", "messages": [{"role": "user", "content": words}], **fields})


def completion(prompt: Any = "hi", **fields: Any) -> CompletionBody:
    return CompletionBody.model_validate({"model": "tiny", "prompt": prompt, **fields})


def infill(template: str, **fields: Any) -> InfillBody:
    return InfillBody.model_validate({"model": "tiny", "template": template, **fields})


def test_chat_runs_the_template_with_the_models_defaults() -> None:
    plan = planner().chat(chat())
    assert plan.request.prompt == tokens("user:hi\n")
    assert plan.request.max_tokens == 100
    assert plan.request.sampling == SamplingParameters(threshold=0.7, temperature=0.2, max_steps=9, seed=11)
    assert plan.pieces == (Hole(100),)


def test_each_choice_of_the_client_reaches_the_engine() -> None:
    diffusion = {
        "algorithm": "entropy_bound",
        "schedule": "cosine",
        "max_steps": 4,
        "block_length": 16,
        "entropy_bound": 0.3,
        "entropy_exit": 0.2,
        "leftmost_eos": True,
        "top_k": 7,
    }
    plan = planner().chat(chat(temperature=1.0, top_p=0.9, seed=-5, max_tokens=20, diffusion=diffusion, stop="x"))
    assert plan.request.sampling == SamplingParameters(
        "entropy_bound",
        max_steps=4,
        schedule="cosine",
        threshold=0.7,
        entropy_bound=0.3,
        entropy_exit=0.2,
        leftmost_eos=True,
        temperature=1.0,
        top_p=0.9,
        top_k=7,
        seed=-5,
    )
    assert (plan.request.canvas_length, plan.request.max_tokens, plan.stops) == (16, 20, ("x",))
    validate(plan.request, spec())


def test_developer_is_an_alias_of_system() -> None:
    body = ChatBody.model_validate({"model": "tiny", "messages": [{"role": "developer", "content": "be brief"}]})
    assert planner().chat(body).request.prompt == tokens("system:be brief\n")


def test_the_new_name_of_the_limit_wins() -> None:
    assert planner().chat(chat(max_tokens=3, max_completion_tokens=5)).request.max_tokens == 5


def test_a_default_length_shrinks_to_the_room_that_is_left() -> None:
    assert planner(max_position=128, max_canvas_length=64).chat(chat("x" * 100)).request.max_tokens == 22


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [("hi", (BOS, *tokens("hi"))), (["hi"], (BOS, *tokens("hi"))), ([7, 8], (7, 8)), ([[7, 8]], (7, 8))],
)
def test_a_prompt_is_text_or_tokens(prompt: Any, expected: tuple[int, ...]) -> None:
    assert planner().completion(completion(prompt)).request.prompt == expected


def test_a_suffix_makes_a_template_of_the_hole_and_the_suffix() -> None:
    plan = planner().completion(completion("ab", suffix="yz", max_tokens=3, stop=["s"]))
    assert plan.request.prompt == (BOS, *tokens("ab"))
    assert plan.request.template == (None, None, None, *tokens("yz"))
    assert (plan.pieces, plan.stops) == ((Hole(3), Pinned("", 2)), ("s",))
    validate(plan.request, spec())


def test_both_names_of_the_limit_are_known_to_completions() -> None:
    assert planner().completion(completion(max_completion_tokens=5, max_tokens=9)).pieces == (Hole(5),)
    with pytest.raises(ContextLengthExceeded) as refused:
        planner().completion(completion(max_completion_tokens=10**6))
    assert refused.value.parameter == "max_completion_tokens"


@pytest.mark.parametrize("prompt", ["hé", list(byte_text().encode("hé"))])
def test_an_echo_is_text_before_the_hole_and_changes_nothing_of_the_run(prompt: Any) -> None:
    echoed, plain = planner().completion(completion(prompt, echo=True)), planner().completion(completion(prompt))
    assert echoed.pieces == (Pinned("hé", 0), Hole(16))
    assert echoed.request == plain.request
    template = planner().completion(completion(prompt, echo=True, suffix="s"))
    assert template.pieces == (Pinned("hé", 0), Hole(16), Pinned("", 1))
    assert template.request.template == (*[None] * 16, *tokens("s"))


TOOL = [
    {"role": "user", "content": "the time?"},
    {"role": "tool", "content": "noon", "tool_call_id": "call_1"},
]


def test_what_a_tool_said_goes_through_the_template() -> None:
    template = "{% for m in messages %}{{ m.role }}/{{ m.tool_call_id }}:{{ m.content }}\n{% endfor %}"
    plan = planner(byte_text(template)).chat(chat(messages=TOOL))
    assert plan.request.prompt == tokens("user/:the time?\ntool/call_1:noon\n")


@pytest.mark.parametrize(
    ("template", "error"),
    [
        ("{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}", UnsupportedParameter),
        (
            "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}"
            "{{ m.content }}{% endfor %}",
            InvalidRequest,
        ),
    ],
)
def test_a_template_that_does_not_know_tools_refuses_them_by_name(template: str, error: type[ServingError]) -> None:
    with pytest.raises(error) as refused:
        planner(byte_text(template)).chat(chat(messages=TOOL))
    assert refused.value.parameter == "messages[1].role"


def test_a_conversation_that_the_template_cannot_write_is_the_clients_fault() -> None:
    template = "{% if messages[0].role != 'system' %}{{ raise_exception('a system message is needed') }}{% endif %}"
    with pytest.raises(InvalidRequest, match="a system message is needed") as refused:
        planner(byte_text(template)).chat(chat())
    assert refused.value.parameter == "messages"


def test_a_special_token_is_nowhere_in_a_conversation() -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "tool", "content": "x", "tool_call_id": "<|eos|>"}]
    with pytest.raises(InvalidRequest, match="special token"):
        planner().chat(chat(messages=turns))


def test_text_before_the_first_hole_is_context() -> None:
    plan = planner().infill(infill("ab{{hole}}c{{hole}}", hole_tokens=[2, 1]))
    assert plan.request.prompt == (BOS, *tokens("ab"))
    assert plan.request.template == (None, None, *tokens("c"), None)
    assert plan.pieces == (Pinned("ab", 0), Hole(2), Pinned("c", 1), Hole(1), Pinned("", 0))
    validate(plan.request, spec())


def test_a_bidirectional_model_takes_all_text_into_the_template() -> None:
    plan = planner(**BIDIRECTIONAL).infill(infill("5..3", hole=".", hole_tokens=1))
    assert plan.request.prompt == (BOS,)
    assert plan.request.template == (*tokens("5"), None, None, *tokens("3"))
    validate(plan.request, spec(**BIDIRECTIONAL))


def test_the_attention_that_the_client_chose_decides_what_joins_the_template() -> None:
    both: dict[str, Any] = {"other_attentions": ("bidirectional",)}
    chosen = {"context_attention": "bidirectional"}
    assert planner(**both).infill(infill("5{{hole}}")).request.prompt == (BOS, *tokens("5"))
    plan = planner(**both).infill(infill("5{{hole}}", hole_tokens=1, diffusion=chosen))
    assert (plan.request.prompt, plan.request.template) == ((BOS,), (*tokens("5"), None))


def test_a_bidirectional_model_writes_canvas_by_canvas_where_the_client_says_so() -> None:
    plan = planner(**BIDIRECTIONAL).completion(completion(max_tokens=60, diffusion={"block_length": 20}))
    assert plan.request.canvas_length == 20


def test_a_sudoku_is_one_canvas() -> None:
    plan = planner(**BIDIRECTIONAL).infill(infill("1" + "." * 80, hole=".", hole_tokens=1))
    assert plan.request.template is not None
    assert (len(plan.request.template), plan.request.template.count(None)) == (81, 80)


def test_special_tokens_in_a_text_stay_text() -> None:
    plan = planner().infill(infill("<|mask|>{{hole}}"))
    assert plan.request.prompt == (BOS, *tokens("<|mask|>"))


@pytest.mark.parametrize(
    ("fields", "watch"),
    [
        ({"stream": True}, None),
        ({"stream": True, "diffusing": True}, Watch("snapshot", 1)),
        ({"stream": True, "diffusion": {"stream": "canvas", "canvas_every": 4}}, Watch("patch", 4)),
        ({"stream": True, "diffusion": {"stream": "canvas", "canvas_format": "snapshot"}}, Watch("snapshot", 1)),
    ],
)
def test_the_engine_drafts_for_those_who_watch(fields: dict[str, Any], watch: Watch | None) -> None:
    plan = planner().chat(chat(**fields))
    assert (plan.watch, plan.request.drafts) == (watch, watch is not None)


def plan_chat(**fields: Any) -> Plan:
    return planner().chat(chat(**fields))


def plan_completion(prompt: Any, facts: dict[str, Any] | None = None, **fields: Any) -> Plan:
    return planner(**facts or {}).completion(completion(prompt, **fields))


def plan_infill(template: str, facts: dict[str, Any] | None = None, **fields: Any) -> Plan:
    return planner(**facts or {}).infill(infill(template, **fields))


@pytest.mark.parametrize(
    ("attempt", "error", "parameter"),
    [
        (lambda: plan_chat(max_tokens=255), ContextLengthExceeded, "max_tokens"),
        (lambda: plan_chat(max_completion_tokens=255), ContextLengthExceeded, "max_completion_tokens"),
        (lambda: plan_completion("x" * 256), ContextLengthExceeded, None),
        (lambda: plan_completion("x", BIDIRECTIONAL, max_tokens=255), ContextLengthExceeded, "max_tokens"),
        (lambda: plan_completion("x", max_tokens=100, suffix="y" * 29), ContextLengthExceeded, None),
        (lambda: plan_infill("x{{hole}}", hole_tokens=129), ContextLengthExceeded, None),
        (lambda: plan_infill("x{{hole}}", hole_tokens=10**12), ContextLengthExceeded, None),
        (lambda: plan_infill("x" * 250 + "{{hole}}"), ContextLengthExceeded, None),
        (lambda: plan_infill("abc{{hole}}", {"canvas_anchor": "zero"}, hole_tokens=125), ContextLengthExceeded, None),
        (lambda: plan_infill("{{hole}}", BIDIRECTIONAL, hole_tokens=129), ContextLengthExceeded, None),
        (lambda: plan_infill("no marker"), InvalidRequest, "template"),
        (lambda: plan_infill("{{hole}}", hole_tokens=[1, 2]), InvalidRequest, "hole_tokens"),
        (lambda: plan_completion([259]), InvalidRequest, "prompt"),
        (lambda: plan_chat(diffusion={"block_length": 129}), InvalidRequest, "diffusion.block_length"),
        (lambda: plan_chat(diffusion={"stream": "canvas"}), InvalidRequest, "diffusion.stream"),
        (lambda: plan_chat(diffusing=True), InvalidRequest, "diffusing"),
        (
            lambda: plan_infill("{{hole}}", diffusion={"block_length": 8}),
            UnsupportedParameter,
            "diffusion.block_length",
        ),
    ],
)
def test_what_the_model_cannot_run_is_refused_by_name(
    attempt: Any, error: type[ServingError], parameter: str | None
) -> None:
    with pytest.raises(error) as refusal:
        attempt()
    assert type(refusal.value) is error
    assert refusal.value.parameter == parameter


def test_a_model_without_a_chat_template_does_not_chat() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        planner(byte_text(chat_template=None)).chat(chat())
    assert refusal.value.parameter == "messages"


def test_the_record_holds_what_runs_and_no_text() -> None:
    recorded = plan_completion("my secret", stop="also secret", seed=3).as_json()
    assert recorded["sampling"]["seed"] == 3
    assert (recorded["prompt_tokens"], recorded["max_tokens"], recorded["stops"]) == (10, 16, 1)
    assert (recorded["cache"]["kind"], recorded["context_attention"]) == ("none", None)
    assert "secret" not in str(recorded)


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({}, None),
        ({"logprobs": False}, None),
        ({"logprobs": True}, 0),
        ({"logprobs": True, "top_logprobs": 20}, 20),
        ({"top_logprobs": 0}, None),
    ],
)
def test_a_chat_asks_for_log_probabilities_with_a_flag(fields: dict[str, Any], asked: int | None) -> None:
    assert planner().chat(chat(**fields)).request.logprobs == asked


def test_a_completion_asks_for_log_probabilities_with_a_number() -> None:
    assert planner().completion(completion()).request.logprobs is None
    assert planner().completion(completion(logprobs=0)).request.logprobs == 0
    assert planner().completion(completion(logprobs=5)).request.logprobs == 5


@pytest.mark.parametrize("content", ["a b", [{"type": "text", "text": "a "}, {"type": "text", "text": "b"}]])
def test_a_prediction_is_encoded_as_the_answer_would_be(content: object) -> None:
    plan = planner().chat(chat(prediction={"type": "content", "content": content}))
    assert plan.request.prediction == tokens("a b")
    assert plan.as_json()["prediction_tokens"] == len(tokens("a b"))


def test_a_prediction_is_refused_where_the_algorithm_makes_no_use_of_it() -> None:
    body = chat(prediction={"type": "content", "content": "a"}, diffusion={"algorithm": "ancestral"})
    with pytest.raises(UnsupportedParameter) as refused:
        planner().chat(body)
    assert refused.value.parameter == "prediction"
