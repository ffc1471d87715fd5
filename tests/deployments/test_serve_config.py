from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ray.serve.schema import ServeDeploySchema

from deployments.config import ClusterConfig
from deployments.document import ConfigError
from deployments.serve_config import IMPORT_PATH, application, serve_config
from deployments.tenancy.keys import make_key

PRODUCTION: dict[str, Any] = {
    "http": {"host": "::"},
    "admin": {"host": "::", "key_file": "/run/secrets/admin/key"},
    "state": {"url": "redis://dllm@state:6379/0?password=/run/secrets/state/password"},
    "tenancy_file": "/run/secrets/tenants/tenants.yaml",
    "models": [{"id": "tiny-code", "checkpoint": "embedded:tiny-code"}],
}


def config(**changes: Any) -> ClusterConfig:
    return ClusterConfig.model_validate(PRODUCTION | changes)


def test_ray_serve_takes_the_document_and_gives_the_configuration_back() -> None:
    deployed = ServeDeploySchema.model_validate(serve_config(config()))
    (served,) = deployed.applications
    assert (served.name, served.route_prefix, served.import_path) == ("dllm", "/", IMPORT_PATH)
    assert ClusterConfig.model_validate(served.args) == config()
    assert (deployed.http_options.host, deployed.http_options.port) == ("::", 8000)
    assert deployed.grpc_options.port == 9000
    assert len(deployed.grpc_options.grpc_servicer_functions) == 3


def test_without_a_port_there_is_no_grpc() -> None:
    assert "grpc_options" not in serve_config(config(grpc={"port": None}))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": {"url": "embedded"}}, "state.url: the embedded server"),
        ({"admin": {"port": 0}}, "port 0"),
        ({"admin": {"key": "an-admin-key-of-mine"}}, "admin.key: give the file"),
        ({"state": {"url": "redis://:s3cret@state"}}, "state.url: give the file"),
    ],
)
def test_what_must_not_be_in_it_is_refused_without_repeating_it(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as refusal:
        serve_config(config(**changes))
    assert "an-admin-key" not in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


def test_a_key_ends_when_it_is_said_to() -> None:
    until = datetime(2027, 1, 1, tzinfo=UTC)
    given = config(keys=[{"tenant": "acme", "id": "a1b2c3d4", "sha256": "0" * 64, "expires_at": until}])
    (served,) = ServeDeploySchema.model_validate(serve_config(given)).applications
    assert ClusterConfig.model_validate(served.args) == given
    with pytest.raises(ValueError, match="expires_at"):
        config(keys=[{"tenant": "acme", "id": "a1b2c3d4", "sha256": "0" * 64, "expires_at": "next year"}])


def test_a_key_is_given_by_its_digest() -> None:
    digest = {"tenant": "acme", "id": "a1b2c3d4", "sha256": "0" * 64}
    assert serve_config(config(keys=[digest]))["applications"][0]["args"]["keys"] == [digest]
    whole = {"tenant": "acme", "key": make_key("live")}
    with pytest.raises(ConfigError, match="keys: give each by its id"):
        serve_config(config(keys=[whole]))


def test_ray_serve_builds_the_application_of_the_document() -> None:
    """As its controller does, with a function and plain data."""
    from ray.serve._private.api import call_user_app_builder_with_args_if_necessary as call

    (served,) = serve_config(config())["applications"]
    assert call(application, served["args"])._bound_deployment.name == "gateway"
    with pytest.raises(ConfigError, match=r"models\.0\.pools\.0\.replicaz: unknown key"):
        call(application, {**served["args"], "models": [{"id": "x", "checkpoint": "y", "pools": [{"replicaz": 1}]}]})


def test_an_application_on_several_nodes_has_a_server_for_its_state() -> None:
    with pytest.raises(ConfigError, match="embedded"):
        application({})
