"""Predicted answers: what they save, and that they put nothing into an answer that the model did not propose itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.capabilities import PREDICTION, CapabilityError, capabilities
from dllm_worker.decoding.trace import StepTrace
from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import Algorithm, Commit, Event, Finish, Request, RequestError, SamplingParameters
from tests.dllm_worker.conftest import MASK, VOCABULARY
from tests.dllm_worker.models import families
from tests.dllm_worker.requests import QUICK, continuations, drain, finish, in_any_company, run, text
from tests.dllm_worker.test_checkpoint import interrupted
from tests.dllm_worker.test_families import PROMPT
from tests.dllm_worker.test_logprobs import observed

BIASED = sorted(name for name, use in PREDICTION.items() if use == "agreement" and name != "pipelined")
USES = ("low_confidence", "confidence_threshold", "pipelined", "joint_threshold", "renoise", "linear_speculation")
EDITING = SamplingParameters("joint_threshold", threshold=0.3, editing_threshold=0.5, max_post_steps=4, eos="ignore")
guesses = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=30).map(tuple)
predictable = st.tuples(continuations("a"), st.sampled_from(BIASED), guesses).map(
    lambda parts: replace(parts[0], prediction=parts[2], sampling=replace(parts[0].sampling, algorithm=parts[1]))
)


def plain(algorithm: Algorithm, length: int = 24) -> Request:
    """Greedy, by a threshold that random models seldom reach."""
    return Request("a", PROMPT, max_tokens=length, sampling=SamplingParameters(algorithm, eos="ignore"))


def uncounted(events: Sequence[Event]) -> list[Event]:
    nothing = {"accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
    return [
        replace(event, usage=replace(event.usage, **nothing)) if isinstance(event, Commit | Finish) else event
        for event in events
    ]


@pytest.fixture(scope="module", params=families.CONFIGS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    path = tmp_path_factory.mktemp(request.param)
    return load_model(families.write(path, families.CONFIGS[request.param]))


@QUICK
@given(predictable)
def test_a_guess_that_the_model_never_shares_changes_nothing(tiny_model: LoadedModel, request: Request) -> None:
    """Greedy or not, by any rule: the mask is never proposed."""
    guessed = replace(request, prediction=(MASK,) * 20, sampling=replace(request.sampling, eos="ignore"))
    without = run(tiny_model, [replace(guessed, prediction=())])["a"]
    assert uncounted(run(tiny_model, [guessed])["a"]) == without


@QUICK
@given(predictable)
def test_every_token_is_the_model_s_own_proposal_and_the_bounds_hold(tiny_model: LoadedModel, request: Request) -> None:
    events, traces = observed(tiny_model, request)
    proposed = proposals(traces)
    for position, token in enumerate(text(events), len(request.prompt)):
        assert proposed[position] == token
    usage = finish(events).usage
    assert usage.accepted_prediction_tokens + usage.rejected_prediction_tokens <= usage.completion_tokens
    assert usage.denoising_steps <= request.max_tokens
    if request.sampling.quota is None and request.sampling.algorithm != "capped_threshold":
        assert usage.denoising_steps <= usage.canvases * (request.sampling.max_steps or request.max_tokens)


def proposals(traces: Sequence[StepTrace]) -> dict[int, int]:
    """By position what was proposed there in the last step that accepted or edited it."""
    last: dict[int, int] = {}
    for trace in traces:
        own = dict(zip(trace.eligible, trace.proposed, strict=True))
        last |= {position: own[position] for position in (*trace.accepted, *trace.edited)}
    return last


@QUICK
@given(predictable, predictable, st.lists(st.integers(1, 6), max_size=3))
def test_company_and_interruptions_change_nothing(
    tiny_model: LoadedModel, request: Request, other: Request, steps: list[int]
) -> None:
    alone = run(tiny_model, [request])["a"]
    together = run(tiny_model, [replace(other, id="b"), request])["a"]
    assert in_any_company(together) == in_any_company(alone)
    pieces = interrupted(tiny_model, request, steps)
    assert text(pieces) == text(alone)
    assert finish(pieces).usage.denoising_steps == finish(alone).usage.denoising_steps
    assert finish(pieces).usage.accepted_prediction_tokens == finish(alone).usage.accepted_prediction_tokens


def requests(model: LoadedModel) -> list[Request]:
    """Some algorithms of each kind, with their own answer for a prediction and with one that is half of that."""
    able = [name for name in capabilities(model.spec).prediction if name in USES]
    sampling = [replace(EDITING, algorithm=name, max_steps=9) for name in able]
    asked = [Request(how.algorithm, PROMPT, max_tokens=24, sampling=how, drafts=True) for how in sampling]
    answers = run(model, asked)
    own = {request.id: tuple(text(answers[request.id])) for request in asked}
    return [
        replace(request, id=f"{request.id} {name}", prediction=prediction)
        for request in asked
        for name, prediction in (("own", own[request.id]), ("half", half(own[request.id])))
    ]


def half(answer: tuple[int, ...]) -> tuple[int, ...]:
    """Some tokens left out, some put in, and some changed."""
    return (*answer[:5], *answer[8:14], 3, 4, *answer[14:18], 5, *answer[19:])


def test_every_family_gives_the_same_alone_in_a_mix_and_in_pieces(model: LoadedModel) -> None:
    asked = requests(model)
    together = run(model, asked, EngineLimits(position_budget=160, cache_positions=2048))
    for i, request in enumerate(asked):
        answer = text(together[request.id])
        assert len(answer) == request.max_tokens
        assert not set(answer) & set(model.spec.suppressed_token_ids)
        assert in_any_company(run(model, [request])[request.id]) == in_any_company(together[request.id]), request.id
        assert text(interrupted(model, request, [1 + i % 4, 2])) == answer, request.id


def test_a_request_with_a_guess_concludes_with_the_canvas_it_has(model: LoadedModel) -> None:
    for i, request in enumerate(requests(model)):
        engine, events = Engine(model), {request.id: list[Event]()}
        engine.add(request)
        for _ in range(1 + i % 3):
            events[request.id] += engine.step()
        steps, told = engine.usage(request.id).denoising_steps, text(events[request.id])
        if not engine.has_work:
            continue
        at_once = engine.conclude(request.id)
        events[request.id] += [] if at_once is None else [at_once]
        drain(engine, events)
        answer, last = text(events[request.id]), finish(events[request.id])
        assert last.reason in ("deadline", "length")
        assert last.usage.denoising_steps <= steps + 1
        assert answer[: len(told)] == told
        assert not set(answer) & set(model.spec.suppressed_token_ids)


@pytest.mark.parametrize("algorithm", ["low_confidence", "confidence_threshold", "entropy_bound"])
def test_the_own_answer_takes_fewer_steps(sequence_model: LoadedModel, algorithm: Algorithm) -> None:
    request = replace(plain(algorithm), canvas_length=8)
    without = run(sequence_model, [request])["a"]
    guessed = run(sequence_model, [replace(request, prediction=tuple(text(without)))])["a"]
    assert finish(guessed).usage.denoising_steps <= 0.7 * finish(without).usage.denoising_steps


def test_an_editing_model_confirms_its_own_answer_in_one_step_a_canvas(tiny_model: LoadedModel) -> None:
    """The answer is one that the model leaves as it is when it reads it."""
    request = replace(plain("joint_threshold"), sampling=EDITING)
    answer: tuple[int, ...] = ()
    for _ in range(8):
        guessed = run(tiny_model, [replace(request, prediction=answer)])["a"]
        if tuple(text(guessed)) == answer:
            break
        answer = tuple(text(guessed))
    usage = finish(guessed).usage
    assert tuple(text(guessed)) == answer
    assert usage.denoising_steps == usage.canvases
    assert (usage.accepted_prediction_tokens, usage.rejected_prediction_tokens) == (24, 0)


@QUICK
@given(guesses)
def test_an_editing_model_keeps_only_what_it_proposes(llada2: LoadedModel, prediction: tuple[int, ...]) -> None:
    request = replace(plain("joint_threshold"), sampling=EDITING, prediction=prediction)
    events, traces = observed(llada2, request)
    proposed, usage = proposals(traces), finish(events).usage
    assert [proposed[position] for position in range(len(PROMPT), len(PROMPT) + 24)] == text(events)
    assert usage.denoising_steps <= request.max_tokens + usage.canvases * (EDITING.max_post_steps + 2)


def test_the_first_token_of_a_canvas_is_the_one_that_its_context_predicts(nemotron: LoadedModel) -> None:
    request = replace(plain("joint_threshold"), sampling=EDITING, prediction=tuple(range(30, 54)))
    events, traces = observed(nemotron, request)
    proposed = proposals(traces)
    assert [proposed[position] for position in range(len(PROMPT), len(PROMPT) + 24)] == text(events)


def test_the_last_step_within_the_bound_leaves_nothing_masked(llada2: LoadedModel) -> None:
    once = replace(EDITING, max_steps=1, max_post_steps=0)
    request = replace(plain("joint_threshold"), sampling=once, prediction=tuple(range(30, 54)))
    usage = finish(run(llada2, [request])["a"]).usage
    assert usage.denoising_steps == usage.canvases
    assert usage.rejected_prediction_tokens > 0


def test_a_guess_that_no_step_has_tested_is_no_answer(tiny_model: LoadedModel) -> None:
    engine = Engine(tiny_model, EngineLimits(position_budget=8))
    engine.add(replace(plain("joint_threshold"), sampling=EDITING, prediction=tuple(range(30, 54))))
    assert engine.step() == []
    end = engine.conclude("a")
    assert end is not None
    assert (end.reason, end.usage.completion_tokens) == ("deadline", 0)


def test_uniform_canvases_start_from_the_guess(tmp_path: Path) -> None:
    model = load_model(families.write(tmp_path, families.CONFIGS["diffusion_gemma"]))
    request = Request("a", PROMPT, max_tokens=24, sampling=SamplingParameters("renoise", max_steps=6, eos="ignore"))
    guess = tuple(range(30, 40))
    with_guess, without = (observed(model, replace(request, prediction=p))[1][0] for p in (guess, ()))
    assert with_guess.before[:10] == guess
    assert with_guess.before[10:] == without.before[10:]


@QUICK
@given(st.lists(st.integers(0, 90), min_size=1, max_size=30).map(tuple))
def test_a_drafted_guess_leaves_autoregressive_decoding_as_it_is(
    nemotron: LoadedModel, autoregressive: list[int], prediction: tuple[int, ...]
) -> None:
    request = replace(plain("linear_speculation", 12), prediction=prediction)
    assert text(run(nemotron, [request])["a"]) == autoregressive


def test_a_right_draft_is_read_and_not_denoised(nemotron: LoadedModel) -> None:
    request = plain("linear_speculation")
    without = run(nemotron, [request])["a"]
    guessed = run(nemotron, [replace(request, prediction=tuple(text(without)))])["a"]
    assert text(guessed) == text(without)
    assert finish(guessed).usage.denoising_steps <= 2
    assert finish(guessed).usage.forward_passes < finish(without).usage.forward_passes / 2


@pytest.fixture(scope="module")
def llada2(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """One that reads a token without proposing it again, as models with tied embeddings do."""
    return load_model(families.write(tmp_path_factory.mktemp("l"), families.CONFIGS["llada2_moe"]))


@pytest.fixture(scope="module")
def nemotron(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(families.write(tmp_path_factory.mktemp("n"), families.CONFIGS["nemotron_labs_diffusion"]))


@pytest.fixture(scope="module")
def autoregressive(nemotron: LoadedModel) -> list[int]:
    return text(run(nemotron, [plain("autoregressive", 12)])["a"])


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (replace(plain("random"), prediction=(3,)), "random makes no use of a prediction"),
        (replace(plain("leftmost"), prediction=(3,)), "leftmost makes no use of a prediction"),
        (Request("a", PROMPT, (None, 3), prediction=(3,)), "a template is filled without a prediction"),
    ],
)
def test_where_it_means_nothing_it_is_refused(tiny_model: LoadedModel, request_: Request, complaint: str) -> None:
    with pytest.raises(CapabilityError, match=complaint) as refused:
        Engine(tiny_model).add(request_)
    assert refused.value.parameter == "prediction"


@pytest.mark.parametrize("prediction", [(VOCABULARY,), (-1,), (3,) * 257])
def test_a_prediction_is_of_the_model_s_tokens_and_no_longer_than_its_context(
    tiny_model: LoadedModel, prediction: tuple[int, ...]
) -> None:
    with pytest.raises(RequestError) as refused:
        Engine(tiny_model).add(replace(plain("low_confidence"), prediction=prediction))
    assert refused.value.parameter == "prediction"
