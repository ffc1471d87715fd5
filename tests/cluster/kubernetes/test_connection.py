"""Which cluster is talked to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kubernetes.config import incluster_config

from cluster.kubernetes import connection
from cluster.kubernetes.connection import NoCluster, connect
from cluster.kubernetes.errors import Refused
from cluster.kubernetes.resources import PODS
from tests.cluster.kubernetes import things


def test_a_pod_is_reached_by_its_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("token", "dllm/capacity"), ("namespace", "dllm\n"), ("ca.crt", "none")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setattr(connection, "NAMESPACE_FILE", tmp_path / "namespace")
    found = connect(None, None)
    assert found.namespace == "dllm"
    configuration: Any = vars(found.kubernetes.api)["configuration"]
    assert configuration.host == "https://127.0.0.1:1"
    assert configuration.auth_settings()["BearerToken"]["value"] == "bearer dllm/capacity"


def test_a_kubeconfig_goes_before_the_pod_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    with things.kubernetes_server(access_control=True) as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(tmp_path / "kubeconfig", "there")))
        found = connect(None, None)
        assert found.namespace == "there"
        assert connect("double", "elsewhere").namespace == "elsewhere"
        with pytest.raises(Refused, match="not found"):
            found.kubernetes.get(PODS, "there", "a")


def test_no_address_at_all_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(NoCluster):
        connect(None, None)
