"""What of a cluster on this machine can be reached, from where and by whom: real sockets of real processes."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.security.running import Running, running

pytestmark = pytest.mark.full

LISTENS = "0A"
OF_RAY = ("/api/version", "/api/jobs/", "/api/serve/applications/", "/api/v0/nodes", "/nodes?view=summary", "/logs/")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    configuration = {"http": {"port": 0}, "grpc": {"port": 0}, "admin": {"port": 0}, "ray": {"dashboard": True}}
    with running(configuration, tmp_path_factory.mktemp("reach")) as cluster:
        yield cluster


def listening(cluster: Running) -> set[tuple[str, int]]:
    """The addresses on which the processes of the cluster listen."""
    inodes = {link for process in cluster.processes() for link in _sockets(process)}
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENS and f"socket:[{fields[9]}]" in inodes:
                address, _, port = fields[1].partition(":")
                found.add((_address(address, family), int(port, 16)))
    return found


def _sockets(process: Path) -> Iterator[str]:
    try:
        for descriptor in (process / "fd").iterdir():
            yield os.readlink(descriptor)
    except OSError:
        return


def _address(text: str, family: socket.AddressFamily) -> str:
    """Words of 32 bits in the order of this machine (proc_net(5))."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    return socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))


def is_of_this_machine(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def is_exposition(answer: httpx.Response) -> bool:
    """Whether it is figures for Prometheus: Ray's agent gives its own on loopback to everyone, whatever the path."""
    return answer.status_code == 200 and answer.headers.get("content-type", "").startswith("text/plain; version=")


def test_what_listens_is_on_loopback(cluster: Running) -> None:
    found = listening(cluster)
    assert len(found) >= 8
    assert {port for _, port in found} >= {urlsplit(cluster.base_url).port, urlsplit(cluster.admin_url).port}
    assert {(address, port) for address, port in found if not is_of_this_machine(address)} == set()


def test_ray_answers_nobody_without_the_token(cluster: Running) -> None:
    ours = {urlsplit(url).port for url in (cluster.base_url, cluster.admin_url)}
    answers: dict[str, set[int]] = {path: set() for path in OF_RAY}
    for _, port in sorted(listening(cluster)):
        if port in ours:
            continue
        for path in OF_RAY:
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=10)
            except httpx.HTTPError:
                continue  # the port speaks something else
            if not is_exposition(answer):
                answers[path].add(answer.status_code)
    assert all(401 in statuses for path, statuses in answers.items() if path.startswith("/api/"))
    assert all(200 not in statuses for statuses in answers.values()), answers


def test_ray_answers_who_has_the_token(cluster: Running) -> None:
    headers = {"authorization": f"Bearer {cluster.variable('RAY_AUTH_TOKEN')}"}
    found = []
    for _, port in listening(cluster):
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/api/version", headers=headers, timeout=10)
        except httpx.HTTPError:
            continue
        found += [answer.json()["ray_version"]] if answer.status_code == 200 and not is_exposition(answer) else []
    assert found == [version("ray")]


@pytest.mark.parametrize("path", [*OF_RAY, "/dashboard", "/api/actors/kill", "/admin/v1/tenants", "/metrics"])
def test_no_route_leads_to_ray(cluster: Running, path: str) -> None:
    keys = (cluster.record["api_key"], cluster.record["admin_key"], cluster.variable("RAY_AUTH_TOKEN"))
    for key in keys:
        for method in ("GET", "POST", "PUT", "DELETE"):
            headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
            answer = httpx.request(method, f"{cluster.base_url}{path}", headers=headers, timeout=30)
            assert answer.status_code == 404
