"""What the pages name exists: commands with their options, keys of the configuration, modules, targets, files."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
import typer
import yaml

from cluster.cli.main import app
from cluster.reference.schema import paths
from deployments.config import ClusterConfig
from tests.docs.pages import ROOT, Page, pages

every_page = pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)

COMMAND = typer.main.get_command(app)
KEYS = {path.replace("[]", "") for path in paths(ClusterConfig)}
ROOTS = {path for path in KEYS if "." not in path}
VALUES: dict[str, Any] = json.loads((ROOT / "helm" / "dllm-cluster" / "values.schema.json").read_text(encoding="utf-8"))
DLLM = re.compile(r"""(?:^|[;&|(] *|/)dllm ((?:"[^"\n]*"|'[^'\n]*'|[^;&|)\n"'])*)""", re.MULTILINE)
OF_OTHERS = {
    *("ray.init", "config.json", "service.name", "service.instance.id"),
    *("http.route", "http.request.method", "http.response.status_code"),
}
"""Names in code that begin like a key and are something else."""


def code_of(page: Page) -> Iterator[str]:
    """Inline code and blocks of commands."""
    yield from page.codes
    yield from (block.text.replace("\\\n", " ") for block in page.blocks if block.language in ("", "sh", "bash"))


def unknown_words(command: str) -> list[str]:
    """The commands and options of ``dllm`` that do not exist."""
    here = COMMAND
    options: set[str] = {"--help"}
    unknown = []
    for word in shlex.split(command, comments=True):
        if word in ("...", "…", ">", "<") or word.startswith("$"):
            break
        if word.startswith("-"):
            name = word.partition("=")[0]
            options |= {option for parameter in here.params for option in parameter.opts}
            unknown += [name] if name not in options else []
        elif isinstance(here, typer.core.TyperGroup):
            choices = [here.commands.get(name) for name in word.split("|")]
            if None in choices:
                return [*unknown, word]
            (here, *_) = [choice for choice in choices if choice is not None]
    return unknown


@every_page
def test_every_dllm_command_and_option_exists(page: Page) -> None:
    commands = [command for code in code_of(page) for command in DLLM.findall(code)]
    assert {command: words for command in commands if (words := unknown_words(command))} == {}


def test_an_unknown_command_or_option_is_found() -> None:
    assert unknown_words("tenants list --json") == []
    assert unknown_words("tenant list") == ["tenant"]
    assert unknown_words("keys create acme --naem x") == ["--naem"]


@every_page
def test_every_key_of_the_configuration_exists(page: Page) -> None:
    named = [code.replace("[]", "") for code in page.codes if re.fullmatch(r"[a-z_]+(\[\])?(\.[a-z_]+(\[\])?)+", code)]
    ours = {key for key in named if key.partition(".")[0] in ROOTS} - OF_OTHERS
    assert ours <= KEYS


def is_value(path: str) -> bool:
    """Whether the chart takes a value there. Where any name may stand, as in `workers`, one does."""
    branches: list[dict[str, Any]] = [VALUES]
    for name in path.split("."):
        named = [branch.get("properties", {}).get(name) or branch.get("additionalProperties") for branch in branches]
        branches = [each for found in named if isinstance(found, dict) for each in (found, *found.get("anyOf", ()))]
    return bool(branches)


@every_page
def test_every_value_of_the_chart_exists(page: Page) -> None:
    named = {code for code in page.codes if re.fullmatch(r"[a-z]+[A-Za-z]*(\.[A-Za-z]+)+", code)}
    ours = {code for code in named if code.partition(".")[0] in VALUES["properties"]} - KEYS - OF_OTHERS
    assert {code for code in ours if not is_value(code) and code.removeprefix("config.") not in KEYS} == set()


@every_page
def test_every_example_of_a_configuration_is_valid(page: Page) -> None:
    trees = [yaml.safe_load(block.text) for block in page.blocks if block.language == "yaml"]
    for tree in trees:
        if isinstance(tree, dict) and tree.keys() <= ROOTS:
            ClusterConfig.model_validate(tree)


@every_page
def test_every_module_that_is_run_exists(page: Page) -> None:
    modules = set(re.findall(r"python3? -m ([a-z_][\w.]*)", page.text))
    assert [module for module in modules if find_spec(module) is None] == []


@every_page
def test_every_make_target_exists(page: Page) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for code in code_of(page) for target in re.findall(r"(?:^|[;&] *)make ([a-z-]+)", code, re.M)}
    assert named <= targets


@every_page
def test_every_file_of_the_repository_exists(page: Page) -> None:
    folders = r"(?:cluster|deployments|dllm_worker|loadtest|tests|docs|helm|\.ci)"
    named = {code for code in page.codes if re.fullmatch(rf"{folders}/[\w./*-]+", code)}
    assert {name for name in named if not list(ROOT.glob(name.rstrip("/")))} == set()
