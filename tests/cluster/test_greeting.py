from __future__ import annotations

import json
import shlex

from cluster.greeting import connection, curl, greeting
from tests.cluster.clusters import KEY, configuration, running


def test_the_curl_is_one_command_that_a_shell_reads_as_it_is_meant() -> None:
    command = curl(running(), "tiny-code")
    words = shlex.split(command.replace("\\\n", ""))
    assert words[:3] == ["curl", "-N", "http://127.0.0.1:8000/v1/chat/completions"]
    assert f"Authorization: Bearer {KEY}" in words
    body = json.loads(words[words.index("-d") + 1])
    assert (body["model"], body["stream"]) == ("tiny-code", True)
    assert body["messages"][0]["content"].startswith("def ")


def test_the_greeting_has_address_key_models_and_a_first_request() -> None:
    text = greeting(configuration(), running())
    for part in ("http://127.0.0.1:8000/v1", KEY, "tiny-code", curl(running(), "tiny-code")):
        assert part in text


def test_programs_get_base_url_and_key() -> None:
    assert json.loads(connection(running())) == {"base_url": "http://127.0.0.1:8000/v1", "api_key": KEY}
