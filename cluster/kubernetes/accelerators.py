"""What Kubernetes calls an accelerator, in Ray's words."""

from __future__ import annotations

import re
from collections.abc import Mapping

GPU = "nvidia.com/gpu"
MIG = "nvidia.com/mig-"

PRODUCT_LABEL = "nvidia.com/gpu.product"
GKE_LABEL = "cloud.google.com/gke-accelerator"
KARPENTER_LABEL = "karpenter.k8s.aws/instance-gpu-name"
ACCELERATOR_LABELS = (PRODUCT_LABEL, GKE_LABEL, KARPENTER_LABEL)
"""The first that a node has says what its GPUs are."""

TYPES = (
    "GB300", "GB200", "B300", "B200", "H200", "H100", "H20", "A100", "L40S", "A10G", "L40", "L4", "V100", "P100", "T4",
    "P4", "K80", "A10", "A40", "A30", "A16", "A2",
)  # fmt: skip
"""Types as Ray names them by the words of a GPU's name, as in ``H100`` of ``NVIDIA H100 80GB HBM3``."""

RTX_PRO = re.compile(r"rtx-pro-(\d{4})")
GRACE_HOPPER = re.compile(r"gh200")


def accelerator_type(labels: Mapping[str, str]) -> str | None:
    """Ray's accelerator type of a node with these labels; ``None`` where they tell none.

    A share of a GPU by time slicing or MIG has the type of the GPU.
    """
    product = product_of(labels)
    if product is None:
        return None
    words = product.lower()
    workstation = RTX_PRO.search(words)
    if workstation:
        return f"RTX-PRO-{workstation[1]}"
    if GRACE_HOPPER.search(words):
        return "GH200"
    parts = set(re.split(r"[^a-z0-9]+", words))
    return next((each for each in TYPES if each.lower() in parts), None)


def product_of(labels: Mapping[str, str]) -> str | None:
    """What the node's labels call its GPUs."""
    return next((labels[label] for label in ACCELERATOR_LABELS if labels.get(label)), None)


def devices_of(amounts: Mapping[str, object]) -> str | None:
    """The resource of the accelerators among these: GPUs, or the slices of one MIG profile."""
    return next((name for name in sorted(amounts) if name == GPU or name.startswith(MIG)), None)
