"""The Pod Security Standards of Kubernetes at level "restricted", and what this chart adds to them.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.helm.chart import Object

USER = 65532
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
ADDABLE = {"NET_BIND_SERVICE"}
SECCOMP = {"RuntimeDefault", "Localhost"}
SYSCTLS = {"net.ipv4.ip_unprivileged_port_start", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range"}
PINNED = re.compile(r"^[a-z0-9][a-z0-9._/:-]*(:(?!latest$)[A-Za-z0-9_][A-Za-z0-9._-]*|@sha256:[0-9a-f]{64})$")


def containers(pod: Object) -> Iterator[Object]:
    """All containers of a pod's specification."""
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from pod.get(kind, [])


def violations(pod: Object) -> Iterator[str]:
    """What level "restricted" refuses of a pod's specification."""
    yield from (f"{key} is true" for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key))
    for volume in pod.get("volumes", []):
        yield from (f"volume {volume['name']}: {kind}" for kind in volume.keys() - {"name"} - VOLUMES)
    shared = pod.get("securityContext", {})
    yield from (f"sysctl {each['name']}" for each in shared.get("sysctls", []) if each["name"] not in SYSCTLS)
    yield from (f"{key} is set" for key in ("seLinuxOptions", "windowsOptions", "appArmorProfile") if key in shared)
    for container in containers(pod):
        yield from (f"{container['name']}: {fault}" for fault in _of_container(container, shared))


def _of_container(container: Object, shared: Object) -> Iterator[str]:
    own = container.get("securityContext", {})
    both = shared | own
    if own.get("privileged"):
        yield "is privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "may escalate its privileges"
    if both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0:
        yield "may run as root"
    if both.get("seccompProfile", {}).get("type") not in SECCOMP:
        yield "has no seccomp profile"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []) or not set(capabilities.get("add", [])) <= ADDABLE:
        yield "has capabilities"
    if own.get("procMount", "Default") != "Default" or {"seLinuxOptions", "windowsOptions"} & own.keys():
        yield "has options of its own for the kernel"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "has a port of the host"


def looseness(pod: Object) -> Iterator[str]:
    """What this chart does not allow besides."""
    shared = pod.get("securityContext", {})
    if "automountServiceAccountToken" not in pod:
        yield "does not say whether it has a token"
    if pod.get("enableServiceLinks") is not False:
        yield "gets the addresses of every service"
    for container in containers(pod):
        both = shared | container.get("securityContext", {})
        name = container["name"]
        if both.get("readOnlyRootFilesystem") is not True:
            yield f"{name}: may write to its root"
        if both.get("runAsUser") != USER:
            yield f"{name}: is not user {USER}"
        if not PINNED.match(container["image"]):
            yield f"{name}: {container['image']} is not pinned"
        yield from (f"{name}: {fault}" for fault in _of_resources(container.get("resources", {})))


def _of_resources(resources: Object) -> Iterator[str]:
    for kind in ("requests", "limits"):
        yield from (f"no {kind} of {name}" for name in ("cpu", "memory") if name not in resources.get(kind, {}))
