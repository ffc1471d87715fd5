"""What `helm install` prints."""

from __future__ import annotations

from functools import cache

import pytest

from tests.helm.chart import NAMESPACE, RELEASE, helm, pick, render, values_file
from tests.helm.documents import CHART
from tests.helm.test_client_routes import INGRESS

EVALUATION = "Valkey runs as single pods"
IN_THE_CLEAR = "in the clear"


@cache
def notes(*values: str, **sets: str) -> str:
    given = [f"--set-json={path.replace('__', '.')}={value}" for path, value in sets.items()]
    files = [f"--values={values_file(name)}" for name in values]
    printed = helm("install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--dry-run=client", *files, *given)
    return printed.partition("\nNOTES:\n")[2]


def test_the_key_of_the_operator_is_where_the_notes_say() -> None:
    secret = pick(render(), "Secret", "admin")
    assert f"get secret {secret['metadata']['name']} " in notes()
    assert "".join(secret["data"]) in notes()
    assert secret["data"]["key"] not in notes()


def test_the_request_that_is_shown_names_a_model_and_the_port() -> None:
    shown = notes("h100", config__http='{"port": 8123}')
    assert '"model": "llada-8b"' in shown
    assert "http://127.0.0.1:8123/v1/chat/completions" in shown
    assert "https://dllm.example.com, and grpc.dllm.example.com:443 for gRPC" in shown


@pytest.mark.parametrize(
    ("sets", "warning"),
    [
        ({}, EVALUATION),
        ({"valkey__persistence__enabled": "false"}, "tenants, keys and usage are lost with its pod"),
        ({"externalRedis__url": '"redis://db"'}, "externalRedis.url does not use TLS"),
        ({**INGRESS, "ingress__tls": "[]", "ingress__grpcHost": '""'}, IN_THE_CLEAR),
        ({"service__type": '"LoadBalancer"'}, "service.type LoadBalancer opens the ports"),
        ({"networkPolicy__enabled": "false"}, "any pod reaches Ray's dashboard and job API"),
        ({"gcs__faultTolerance": "false"}, "when the head goes, every pod is started again"),
    ],
)
def test_what_is_fit_for_an_evaluation_only_is_told(sets: dict[str, str], warning: str) -> None:
    assert warning in notes(**sets)


def test_there_is_nothing_to_mind_where_all_is_as_it_should_be() -> None:
    assert "Mind:" not in notes("ha")
    assert EVALUATION in notes()
    assert IN_THE_CLEAR not in notes("h100")
