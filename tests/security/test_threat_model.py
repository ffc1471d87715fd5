"""The threat model names a test for each control, and each of them exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from cluster.environment import node_environment
from deployments.config import ClusterConfig
from deployments.gateway.admin.app import MAX_BODY_BYTES
from deployments.gateway.grpc.bounds import CALLS_OF_A_CONNECTION, METADATA_BYTES, OPTIONS
from deployments.gateway.http_bounds import HttpBounds
from deployments.gateway.settings import GatewaySettings
from deployments.tenancy.verification import VerificationSettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
THREATS = re.findall(r"^\|(.+)\|$", PAGE.partition("## Threats")[2].partition("\n## ")[0], re.MULTILINE)[2:]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_the_test_exists(path: str, name: str) -> None:
    assert name.startswith("test_")
    assert name in names_in(path)


@pytest.mark.parametrize("row", THREATS)
def test_every_control_has_a_test(row: str) -> None:
    asset, attacker, threat, control, tests = (cell.strip() for cell in row.split(" | "))
    assert asset
    assert attacker
    assert threat
    assert control
    assert re.search(r"`tests/[\w/]+\.py::\w+`", tests)


def bound(what: str) -> str:
    """The second column of the row of the bounds that begins so."""
    (found,) = re.findall(rf"^\| {re.escape(what)}[^|]* \| ([^|]*) \|", PAGE, re.MULTILINE)
    return str(found)


def test_the_bounds_are_those_of_the_program() -> None:
    http, settings, attempts = HttpBounds(), GatewaySettings(), VerificationSettings()
    assert bound("a URL") == f"{http.url >> 10} KiB"
    assert bound("a request line").startswith(f"{http.head >> 10} KiB")
    assert bound("headers") == str(http.headers)
    assert bound("the time for a head") == f"{http.head_seconds:g} s"
    assert bound("the time for a body") == f"{settings.body_timeout_seconds:g} s, {http.request_seconds:g} s"
    assert bound("requests behind") == str(http.pipelined)
    assert bound("connections of a proxy") == str(http.connections)
    assert bound("a body, declared").endswith(f"1 MiB; {MAX_BODY_BYTES >> 10} KiB on the operator's port")
    assert bound("gRPC metadata") == f"{METADATA_BYTES >> 10} KiB"
    times = {name.removeprefix("grpc."): f"{milliseconds / 1000:g} s" for name, milliseconds in OPTIONS}
    assert bound("a gRPC connection without calls").startswith(times["max_connection_idle_ms"])
    assert bound("a gRPC connection with calls") == times["max_connection_age_ms"]
    assert bound("calls at once") == str(CALLS_OF_A_CONNECTION)
    assert bound("failed attempts") == f"{attempts.failures_per_minute} a minute"


def test_a_proxy_holds_four_times_a_body() -> None:
    config = ClusterConfig()
    held = node_environment(config)["RAY_SERVE_GRPC_MAX_MESSAGE_SIZE"]
    assert int(held) == 4 * config.http.max_body_bytes
    assert bound("what a proxy holds") == "four times that"
