"""The operator's commands of docs/operations.md and docs/autoscaling.md, in their order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from cluster.cli.main import app
from deployments.autoscaling.journal import Journal
from tests.cluster.cli.bridge import Bridge
from tests.deployments.autoscaling.seen import told
from tests.deployments.gateway.admin.administration import ADMIN_KEY, NOW, Place

DOCS = Path(__file__).parents[3] / "docs"
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
KEY = re.compile(r"dllm_[a-z]+_([0-9A-Za-z]{8})_")
VARIABLES = {"DLLM_ADMIN_URL": "http://admin", "DLLM_ADMIN_KEY": ADMIN_KEY}


def commands(page: str) -> list[str]:
    blocks = BLOCK.findall((DOCS / page).read_text())
    return [line for block in blocks for line in block.splitlines() if not line.startswith("export ")]


def words(command: str, variables: dict[str, str]) -> list[str]:
    """The words of a command, with its variables filled in and without the file or filter that takes its output."""
    filled = re.sub(r"\$(\w+)", lambda match: variables[match[1]], re.split(r" [>|] ", command)[0])
    return shlex.split(filled, comments=True)


@pytest.mark.parametrize("page", ["operations.md", pytest.param("autoscaling.md", marks=pytest.mark.full)])
def test_the_documented_commands_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("docs/images").mkdir(parents=True)
    place, variables = Place(), dict(VARIABLES)
    Journal(place.segments, 3600.0).write(told(NOW - 1, 1, 2))
    bridge = Bridge(admin=place.app)
    for command in commands(page):
        program, *arguments = words(command, variables)
        if program == "curl":
            assert curl(bridge, arguments).status_code == 200, command
            continue
        assert program == "dllm", command
        result = CliRunner().invoke(app, arguments, obj=bridge, env=VARIABLES)
        assert result.exit_code == 0, (command, result.output)
        if file := command.partition(" > ")[2].partition(" ")[0]:
            Path(file).write_text(result.stdout)
        made = KEY.match(result.stdout)
        if made:
            variables["ID"] = made[1]


def test_there_are_commands_of_every_kind() -> None:
    kinds = {" ".join(command.split()[:2]) for command in commands("operations.md") if command.startswith("dllm ")}
    assert {"dllm tenants", "dllm keys", "dllm limits", "dllm usage", "dllm queue"} <= kinds


def curl(bridge: Bridge, arguments: list[str]) -> httpx.Response:
    method, headers, content, url = "GET", {}, None, ""
    words = iter(arguments)
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                content = next(words)
            case "-s":
                pass
            case _:
                url = word
    with httpx.Client(transport=bridge) as http:
        return http.request(method, url, headers=headers, content=content)
