from __future__ import annotations

import pytest
from fastapi.exceptions import RequestValidationError

from deployments.gateway.failures import told
from deployments.gateway.grpc.bodies import chat_body, completion_body, infill_body
from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2 as pb
from deployments.gateway.schema import Diffusion

USER = pb.Message(role=pb.ROLE_USER, content="hi")


def test_what_is_left_out_is_left_to_the_model() -> None:
    body = chat_body(pb.Chat(model="m", messages=[USER]), stream=False)
    assert body.model_fields_set == {"model", "messages"}


def test_zeros_and_falsehoods_are_sent() -> None:
    body = completion_body(pb.Completion(model="m", prompt="", seed=0, temperature=0.0, echo=False), stream=False)
    assert body.model_fields_set == {"model", "prompt", "seed", "temperature", "echo"}


def test_a_stream_has_its_usage() -> None:
    body = chat_body(pb.Chat(model="m", messages=[USER]), stream=True)
    assert body.stream
    assert body.stream_options is not None
    assert body.stream_options.include_usage


def test_words_and_parts() -> None:
    diffusion = pb.Diffusion(
        stream=pb.WATCHING_CANVAS,
        algorithm=pb.ALGORITHM_LOW_CONFIDENCE,
        eos=pb.END_OF_SEQUENCE_IGNORE,
        cache=pb.Cache(kind=pb.CACHE_KIND_DUAL, before=0),
        leftmost_eos=False,
    )
    body = chat_body(pb.Chat(model="m", messages=[USER], diffusion=diffusion), stream=True)
    given = {
        "stream": "canvas",
        "algorithm": "low_confidence",
        "eos": "ignore",
        "cache": {"kind": "dual", "before": 0},
        "leftmost_eos": False,
    }
    assert body.diffusion == Diffusion.model_validate(given)


def test_a_word_of_a_later_version_is_refused_by_name() -> None:
    later = pb.Chat.FromString(pb.Chat(model="m", messages=[USER]).SerializeToString() + b"\x28\x63")
    with pytest.raises(RequestValidationError) as refused:
        chat_body(later, stream=False)
    assert told(refused.value, "r").parameter == "reasoning_effort"


def test_a_field_of_a_later_version_is_not_lost_without_a_word() -> None:
    later = pb.Infill.FromString(pb.Infill(model="m", template="{{hole}}").SerializeToString() + b"\xb8\x06\x01")
    assert list(infill_body(later, stream=False).ignored()) == ["field_103"]


def test_one_number_is_that_of_every_hole() -> None:
    assert infill_body(pb.Infill(model="m", template="t", hole_tokens=[3]), stream=False).hole_tokens == 3
    assert infill_body(pb.Infill(model="m", template="t", hole_tokens=[3, 4]), stream=False).hole_tokens == [3, 4]


def test_a_prompt_of_tokens() -> None:
    completion = pb.Completion(model="m", prompt_tokens=pb.TokenIds(ids=[1, 2]))
    assert completion_body(completion, stream=False).prompt == [1, 2]
