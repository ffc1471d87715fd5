"""``dllm chat`` against a service that follows a script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from cluster.cli.main import app
from tests.cluster.client.services import Service, cut_off, frames, refusal

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny"}
MODELS = {"object": "list", "data": [{"id": "tiny", "object": "model", "created": 1, "dllm": {}}]}
SUMMARY = "[5 tokens in 4 denoising steps over 1 canvases, 96 position-forwards, 0.0 tokens per forward, stop]\n"


def dllm(home: Path, service: Service, *arguments: str, **environment: str) -> Result:
    variables = {"XDG_RUNTIME_DIR": str(home), "DLLM_BASE_URL": "http://service/v1", "DLLM_API_KEY": "key"}
    obj = httpx.MockTransport(service)
    return CliRunner().invoke(app, ["chat", *arguments], obj=obj, env=variables | environment)


def view(step: int, masked: int, text: str) -> bytes:
    seen = {"seq": step, "block": 0, "step": step, "max_steps": None, "masked": masked, "start": 0, "length": 5}
    chunk = {
        **HEAD,
        "choices": [{"index": 0, "delta": {}, "finish_reason": None}],
        "diffusion": {**seen, "committed_chars": 0, "text": text},
    }
    return b"data: %b\n\n" % json.dumps(chunk).encode()


def test_an_answer_is_written_as_it_comes(tmp_path: Path) -> None:
    service = Service([cut_off(*frames("hel", "lo"))])
    result = dllm(tmp_path, service, "say hello", "--model", "tiny", "--system", "Be brief.", "--max-tokens", "5")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "hello\n", SUMMARY)
    (body,) = service.bodies()
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "say hello"},
    ]
    assert (body["model"], body["max_tokens"], body["stream"]) == ("tiny", 5, True)
    assert not {"temperature", "seed", "diffusion", "store_stream"} & body.keys()


def test_the_first_model_is_asked_when_none_is_named(tmp_path: Path) -> None:
    service = Service([httpx.Response(200, json=MODELS), cut_off(*frames("ok"))])
    assert dllm(tmp_path, service, "hi").stdout == "ok\n"
    assert service.bodies()[0]["model"] == "tiny"


def test_the_canvas_is_shown_step_by_step(tmp_path: Path) -> None:
    views = [view(1, 5, "\N{LIGHT SHADE}" * 5), view(2, 2, "he\N{LIGHT SHADE}\N{LIGHT SHADE}o")]
    first, *rest = frames("hello")
    service = Service([cut_off(first, *views, *rest)])
    result = dllm(tmp_path, service, "hi", "--model", "tiny", "--canvas")
    assert result.stdout == (
        "-- canvas 0, step 1, 5 masked\n\N{LIGHT SHADE}\N{LIGHT SHADE}\N{LIGHT SHADE}\N{LIGHT SHADE}\N{LIGHT SHADE}\n"
        "-- canvas 0, step 2, 2 masked\nhe\N{LIGHT SHADE}\N{LIGHT SHADE}o\n"
        "-- answer\nhello\n"
    )
    assert service.bodies()[0]["diffusion"] == {"stream": "canvas", "canvas_format": "snapshot"}


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (["--temperature", "0.5", "--seed", "7"], {"temperature": 0.5, "seed": 7}),
        (["--effort", "low"], {"reasoning_effort": "low"}),
        (["--resume"], {"store_stream": True}),
    ],
)
def test_options_are_sent(tmp_path: Path, options: list[str], sent: dict[str, Any]) -> None:
    service = Service([cut_off(*frames("ok"))])
    assert dllm(tmp_path, service, "hi", "--model", "tiny", *options).exit_code == 0
    assert sent.items() <= service.bodies()[0].items()


def test_a_deadline_is_sent(tmp_path: Path) -> None:
    service = Service([cut_off(*frames("ok"))])
    dllm(tmp_path, service, "hi", "--model", "tiny", "--deadline", "1.5")
    assert service.requests[0].headers["x-dllm-deadline-ms"] == "1500"


def test_a_refusal_is_one_line_with_the_request_id(tmp_path: Path) -> None:
    refused = dllm(tmp_path, Service([refusal(402, "insufficient_quota")]), "hi", "--model", "tiny")
    expected = "dllm: insufficient_quota: This is insufficient_quota. (request req_1)\n"
    assert (refused.exit_code, refused.stdout, refused.stderr) == (1, "", expected)


def test_a_stream_that_is_cut_off_is_one_line_behind_what_came(tmp_path: Path) -> None:
    cut = dllm(tmp_path, Service([cut_off(*frames("hel", "lo")[:2])]), "hi", "--model", "tiny")
    assert (cut.exit_code, cut.stdout) == (1, "hel")
    assert cut.stderr == "dllm: The stream was cut off behind frame 2.\n"


def test_without_a_cluster_or_a_key_there_is_nobody_to_ask(tmp_path: Path) -> None:
    nowhere = dllm(tmp_path, Service([]), "hi", DLLM_BASE_URL="")
    assert (nowhere.exit_code, nowhere.stderr) == (1, "dllm: no cluster is running here; give its address\n")
    nobody = dllm(tmp_path, Service([]), "hi", DLLM_API_KEY="")
    assert (nobody.exit_code, nobody.stderr) == (1, "dllm: DLLM_API_KEY is not set\n")
