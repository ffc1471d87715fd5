"""Which cluster the commands talk to: that of a kubeconfig's context, or the one around a pod."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.kubernetes.client import Kubernetes

if TYPE_CHECKING:
    from kubernetes.client import Configuration

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
DEFAULT_NAMESPACE = "default"
KUBECONFIG = "KUBECONFIG"


class NoCluster(Exception):
    """Nothing says where the Kubernetes API is."""


@dataclass(frozen=True, slots=True)
class Connection:
    """The API, and the namespace that is meant where none is named."""

    kubernetes: Kubernetes
    namespace: str


def connect(context: str | None, namespace: str | None) -> Connection:
    """A connection by the kubeconfig (``KUBECONFIG``, or the usual file), its ``context`` or the current one; in a pod
    without a kubeconfig by the pod's service account. Raises :class:`NoCluster`.
    """
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException

    configuration = Configuration()
    in_pod = context is None and KUBECONFIG not in os.environ and "KUBERNETES_SERVICE_HOST" in os.environ
    try:
        found = _of_pod(configuration) if in_pod else _of_kubeconfig(configuration, context)
    except (ConfigException, OSError) as error:
        raise NoCluster(f"no cluster: {error}") from error
    return Connection(Kubernetes.at(configuration), namespace or found)


def _of_pod(configuration: Configuration) -> str:
    from kubernetes.config import load_incluster_config

    load_incluster_config(client_configuration=configuration)
    return NAMESPACE_FILE.read_text(encoding="utf-8").strip()


def _of_kubeconfig(configuration: Configuration, context: str | None) -> str:
    from kubernetes.config import list_kube_config_contexts, load_kube_config

    # The client reads the variable when it is imported only.
    file = os.environ.get(KUBECONFIG)
    load_kube_config(file, context, configuration)
    contexts, current = list_kube_config_contexts(file)
    chosen = current if context is None else next(each for each in contexts if each["name"] == context)
    return str(chosen["context"].get("namespace") or DEFAULT_NAMESPACE)
