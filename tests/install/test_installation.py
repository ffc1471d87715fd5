"""What `helm install` gives, once KubeRay, the kubelet and kube-proxy have done their parts of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.install.installed import ADMIN, DASHBOARD, Installed
from tests.install.kuberay import head_service

pytestmark = pytest.mark.full

PROCESS = re.compile(r'^process_resident_memory_bytes\{process="([^"]+)"\}', re.MULTILINE)


def addresses(release: Installed, group: str) -> set[str]:
    return {each.pod.address for each in release.pods(group)}


def test_every_replica_runs_where_the_chart_says(release: Installed) -> None:
    found = release.places()
    assert set(found.pop("gateway")) == addresses(release, "gateway")
    assert set(found) == {"worker:tiny-code:default", "worker:simulated:default"}
    for places in found.values():
        assert len(places) == 2
        assert set(places) <= addresses(release, "cpu")


def test_helm_test_passes(release: Installed) -> None:
    code, said = release.kubelet.complete(release.objects.get("Pod", f"{release.release}-smoke"), 120.0)
    assert code == 0, said
    assert [line.split()[0] for line in said.splitlines()] == ["ready", "key", "http", "grpc", "revoked"]


def test_the_dashboard_is_closed_to_who_has_no_token(release: Installed) -> None:
    url = f"http://{release.local(DASHBOARD, head_service(release.service))}/api/serve/applications/"
    for headers in ({}, {"authorization": "Bearer wrong"}):
        assert httpx.get(url, headers=headers, timeout=30.0).status_code in (401, 403)
        assert httpx.put(url, json={"applications": []}, headers=headers, timeout=30.0).status_code in (401, 403)


def test_metrics_of_all_pods_are_at_one_address(release: Installed) -> None:
    (key,) = release.objects.data("Secret", f"{release.release}-admin").values()
    url = f"http://{release.local(ADMIN, f'{release.release}-admin')}/metrics"
    processes = {"gateway": 2, "worker": 4}
    for _ in release.pods("gateway"):
        text = httpx.get(url, headers={"authorization": f"Bearer {key.decode()}"}, timeout=30.0).raise_for_status().text
        found = set(PROCESS.findall(text))
        assert {kind: sum(each.startswith(kind) for each in found) for kind in processes} == processes


def test_no_secret_is_in_a_process_list_or_a_log(release: Installed) -> None:
    found = {
        name: value.decode()
        for secret in release.objects.every("Secret")
        for name, value in release.objects.data("Secret", secret["metadata"]["name"]).items()
    }
    assert len(found) == 4
    # KubeRay gives `ray start` the password of the head's server as an argument; only pods of that user see it.
    found.pop("gcs-password")
    for text in (*_command_lines(), *_logs(release)):
        for name, secret in found.items():
            assert secret not in text, name


def _command_lines() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield process.read_text(errors="replace")


def _logs(release: Installed) -> Iterator[str]:
    for running in release.kubelet.pods.values():
        yield running.output()
        process = running.pod.first_process(running.container.name)
        for file in Path(f"/proc/{process}/root/tmp/ray").rglob("*.log"):
            yield file.read_text(errors="replace")
