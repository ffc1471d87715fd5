"""What values say of pods and images, as Kubernetes has it."""

from __future__ import annotations

from cluster.chart_schema.terms import (
    COUNT,
    NAME,
    OBJECT,
    POSITIVE,
    QUANTITY,
    TEXT,
    Schema,
    each,
    mapping,
    one_of,
    section,
)

LABELS: Schema = mapping(TEXT)
ANNOTATIONS: Schema = mapping(TEXT)
SECRET_KEY: Schema = {"type": "string", "pattern": "^[-._a-zA-Z0-9]*$"}
RESOURCES: Schema = {
    **section(requests=mapping(QUANTITY), limits=mapping(QUANTITY)),
    "required": ["requests", "limits"],
}
PULL_POLICY = one_of("Always", "IfNotPresent", "Never")
IMAGE_KEYS: dict[str, Schema] = {
    "repository": {"type": "string", "pattern": "^[a-z0-9][a-z0-9._/:-]*$"},
    "tag": {"type": "string", "pattern": r"^[a-zA-Z0-9_]?[a-zA-Z0-9._-]*$", "not": {"const": "latest"}},
    "digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    "pullPolicy": PULL_POLICY,
}
IMAGE = section(**IMAGE_KEYS)

TOLERATION = section(
    key=TEXT,
    operator=one_of("Exists", "Equal"),
    value=TEXT,
    effect=one_of("NoSchedule", "PreferNoSchedule", "NoExecute"),
    tolerationSeconds=COUNT,
)
PLACEMENT: dict[str, Schema] = {"nodeSelector": LABELS, "tolerations": each(TOLERATION)}
RAY_POD: dict[str, Schema] = {"resources": RESOURCES, "affinity": OBJECT, "annotations": ANNOTATIONS, **PLACEMENT}

WORKER = {
    **section(
        **RAY_POD,
        accelerator={"type": "string", "minLength": 1},
        labels=LABELS,
        gpus=POSITIVE,
        gpuResource={"type": "string", "pattern": "^[a-z0-9.-]+/[a-zA-Z0-9._-]+$"},
        minReplicas=COUNT,
        maxReplicas=POSITIVE,
        priority={"type": "integer"},
        idleTimeoutSeconds=POSITIVE,
        runtimeClassName=NAME,
    ),
    "required": ["minReplicas", "maxReplicas", "resources"],
}

PEER = section(
    podSelector=OBJECT,
    namespaceSelector=OBJECT,
    ipBlock={**section(cidr=TEXT, **{"except": each(TEXT)}), "required": ["cidr"]},
)
"""Of a NetworkPolicy; what is left of it Kubernetes checks."""
