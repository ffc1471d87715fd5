"""Why a pod is not ready, in words, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cluster.kubernetes.objects import Object, condition_of, name_of, part

QUOTA = re.compile(r"exceeded quota: ([^,]+), requested: ([^ ]+), used: ([^ ]+), limited: ([^ ]+)")
PREEMPTION = re.compile(r"\s*(?:preemption|no new claims to deallocate):.*$", re.DOTALL)
COUNTED = re.compile(r"(\d+) (.+)", re.DOTALL)
PARTS = re.compile(r", (?=\d+ )|,\s*$")
TAINT = re.compile(r"(?:untolerated taint|taint) ?(?:\(s\)|\{([^}]*)\})")
INSUFFICIENT = re.compile(r"Insufficient (\S+)")
CLAIM = re.compile(r'persistentvolumeclaim "([^"]+)" not found')
MOUNT = re.compile(r'(secret|configmap) "([^"]+)" not found')

PULLING = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
RESTARTING = ("CrashLoopBackOff", "RunContainerError", "CreateContainerError")
FAILED_CREATION = ("FailedCreate", "FailedToCreateWorkerPod", "FailedToCreateHeadPod")


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, and ``advice`` on it, in a sentence each."""

    code: str
    text: str
    advice: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why the pod ``name`` is not ready. One that could not even be created goes by its owner's name."""

    name: str
    group: str
    reasons: tuple[Reason, ...]


def explain(pod: Object, events: Sequence[Object] = ()) -> tuple[Reason, ...]:
    """Why the pod is not ready, by its conditions, its containers, and the warnings about it; empty if it is."""
    if condition_of(pod, "Ready").get("status") == "True":
        return ()
    if "deletionTimestamp" in part(pod, "metadata"):
        return (Reason("leaving", "it is being removed", "wait until its grace period is over"),)
    if part(pod, "spec").get("schedulingGates"):
        gates = ", ".join(each["name"] for each in pod["spec"]["schedulingGates"])
        return (Reason("gated", f"scheduling gates hold it back: {gates}", "ask who set them, as a queueing system"),)
    scheduled = condition_of(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return tuple(_unscheduled(scheduled.get("message") or "")) or _unknown(scheduled.get("reason"))
    found = (*_mounts(events), *_containers(pod))
    return tuple(dict.fromkeys(found)) or _unknown(part(pod, "status").get("phase"))


def not_created(events: Iterable[Object]) -> tuple[Explanation, ...]:
    """Pods that the operator could not create, by the events about their Ray cluster; each quota once."""
    found = {}
    for event in events:
        message = event.get("message") or ""
        if event.get("reason") in FAILED_CREATION:
            owner = part(event, "involvedObject").get("name", "")
            reason = _quota(message) or Reason("not created", message, "see the log of KubeRay's operator")
            found[owner, reason.code, reason.text] = Explanation(owner, "", (reason,))
    return tuple(found.values())


def about(pod: Object, events: Iterable[Object]) -> list[Object]:
    """The warnings about this pod and none before it of the same name."""
    uid = part(pod, "metadata").get("uid")
    return [
        event
        for event in events
        if event.get("type") == "Warning"
        and part(event, "involvedObject").get("name") == name_of(pod)
        and part(event, "involvedObject").get("uid") in (None, uid)
    ]


def _quota(message: str) -> Reason | None:
    match = QUOTA.search(message)
    if match is None:
        return None
    name, requested, used, limited = match.groups()
    return Reason(
        "quota",
        f"the quota {name} allows {limited}, of which {used} is used, and this asks for {requested}",
        f"raise the quota, or lower maxReplicas of the group: kubectl describe resourcequota {name}",
    )


def _unscheduled(message: str) -> Iterator[Reason]:
    """The scheduler's message, as in ``0/5 nodes are available: 1 Insufficient cpu, 4 node(s) had ...``."""
    claim = CLAIM.search(message)
    if claim is not None:
        yield Reason("claim", f"the claim {claim[1]} does not exist", f"create it, or name another: {claim[1]}")
        return
    if "unbound immediate PersistentVolumeClaims" in message:
        yield Reason("claim", "a claim of its volumes has no volume yet", "see kubectl get pvc, and its storage class")
        return
    _, _, causes = message.partition("nodes are available: ")
    for cause in PARTS.split(PREEMPTION.sub("", causes).rstrip(". ")):
        counted = COUNTED.fullmatch(cause.strip())
        if counted is not None:
            yield _cause(int(counted[1]), counted[2])


def _cause(nodes: int, cause: str) -> Reason:
    where = f"on {nodes} {'node' if nodes == 1 else 'nodes'}"
    insufficient, taint = INSUFFICIENT.search(cause), TAINT.search(cause)
    if insufficient is not None:
        name = insufficient[1]
        return Reason(
            "insufficient",
            f"{where} too little {name} is free",
            f"add nodes that have {name}, or let another group take the work: dllm k8s capacity",
        )
    if taint is not None:
        named = f" {taint[1]}" if taint[1] else ""
        return Reason(
            "taint", f"{where} a taint{named} keeps it away", "give the group that toleration, if it may run there"
        )
    if "affinity/selector" in cause or "node selector" in cause:
        return Reason("selector", f"{where} the labels are not those that the group asks for", "see dllm k8s render")
    if "volume node affinity" in cause:
        return Reason("zone", f"{where} its volume cannot be had", "the volume is in another zone than the nodes")
    if "topology spread" in cause or "anti-affinity" in cause:
        return Reason(
            "spread", f"{where} the rule on spreading pods forbids it", "add nodes or zones, or relax disruption"
        )
    if "unschedulable" in cause:
        return Reason(
            "cordoned", f"{nodes} {'is' if nodes == 1 else 'are'} cordoned", "kubectl uncordon, when they are back"
        )
    return Reason("other", f"{where}: {cause}", "see kubectl describe pod")


def _mounts(events: Sequence[Object]) -> Iterator[Reason]:
    for event in events:
        message = event.get("message") or ""
        missing = MOUNT.search(message)
        if event.get("reason") == "FailedMount" and missing is not None:
            kind, name = missing.groups()
            yield Reason(
                "mount", f"the {kind} {name} does not exist", f"create it, or name another in the values: {name}"
            )
        elif event.get("reason") in ("FailedMount", "FailedAttachVolume"):
            yield Reason("mount", f"a volume cannot be mounted: {message}", "see kubectl describe pvc")


def _containers(pod: Object) -> Iterator[Reason]:
    """The first container that is not as it should be: those that start others go before these."""
    status = part(pod, "status")
    for container in status.get("initContainerStatuses") or ():
        if not part(container, "state", "terminated"):
            yield _waiting(container) or Reason(
                "starting", f"its init container {container['name']} is at work", "wait, or see its log"
            )
            return
    for container in status.get("containerStatuses") or ():
        reason = _waiting(container)
        if reason is not None:
            yield reason
        elif part(container, "state", "running") and not container.get("ready", True):
            text = f"{container['name']} runs and is not ready yet"
            yield Reason("unready", text, "wait for its models to load, or see its log")


def _waiting(container: Object) -> Reason | None:
    name, waiting = container["name"], part(container, "state", "waiting")
    reason, message = waiting.get("reason", ""), waiting.get("message") or ""
    last = part(container, "lastState", "terminated")
    if reason in PULLING:
        text = f"the image {container.get('image', '')} cannot be pulled"
        return Reason("image", text, "check image.repository, image.tag and image.pullSecrets")
    if reason == "CreateContainerConfigError":
        return Reason("config", f"{name} cannot be configured: {message}", "a Secret or ConfigMap lacks what it names")
    if reason in RESTARTING:
        ended = f"; it last ended with {last.get('reason', '')} ({last.get('exitCode')})" if last else ""
        advice = "raise its memory" if last.get("reason") == "OOMKilled" else "see kubectl logs --previous"
        return Reason("restarting", f"{name} does not stay up{ended}", advice)
    return None


def _unknown(state: str | None) -> tuple[Reason, ...]:
    return (Reason("unknown", f"its state is {state or 'unknown'}", "see kubectl describe pod"),)
