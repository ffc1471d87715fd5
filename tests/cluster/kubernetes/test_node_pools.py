"""Node pools, from the labels that vendors and clouds give nodes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cluster.kubernetes.accelerators import accelerator_type
from cluster.kubernetes.node_pools import Taint, node_of, node_pools
from tests.cluster.kubernetes import things


@pytest.mark.parametrize(
    ("label", "product", "kind"),
    [
        ("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3", "H100"),
        ("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb", "H100"),
        ("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3-SHARED", "H100"),
        ("nvidia.com/gpu.product", "NVIDIA-H200", "H200"),
        ("nvidia.com/gpu.product", "NVIDIA-L40S", "L40S"),
        ("nvidia.com/gpu.product", "NVIDIA-L4", "L4"),
        ("nvidia.com/gpu.product", "NVIDIA-A100-SXM4-80GB", "A100"),
        ("nvidia.com/gpu.product", "NVIDIA-A10G", "A10G"),
        ("nvidia.com/gpu.product", "Tesla-T4", "T4"),
        ("nvidia.com/gpu.product", "NVIDIA-B200", "B200"),
        ("nvidia.com/gpu.product", "NVIDIA-GB200", "GB200"),
        ("nvidia.com/gpu.product", "NVIDIA-GH200-480GB", "GH200"),
        ("nvidia.com/gpu.product", "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", "RTX-PRO-6000"),
        ("cloud.google.com/gke-accelerator", "nvidia-h100-mega-80gb", "H100"),
        ("cloud.google.com/gke-accelerator", "nvidia-tesla-a100", "A100"),
        ("cloud.google.com/gke-accelerator", "nvidia-l4", "L4"),
        ("karpenter.k8s.aws/instance-gpu-name", "l40s", "L40S"),
        ("nvidia.com/gpu.product", "Some-Other-Card", None),
        ("kubernetes.io/arch", "amd64", None),
    ],
)
def test_labels_name_rays_accelerator_type(label: str, product: str, kind: str | None) -> None:
    assert accelerator_type({label: product}) == kind


def test_alike_nodes_are_one_pool_with_what_each_of_them_has() -> None:
    smaller = things.node("b", gpus=8)
    smaller["status"]["allocatable"]["cpu"] = "24"
    objects = [
        things.node("a", gpus=8, labels={"topology.kubernetes.io/zone": "z2"}),
        smaller,
        things.node("c", gpus=8, ready=False),
        things.node("d", gpus=8, cordoned=True),
        things.node("other", things.L40S, 4, taints=[]),
        things.node("none", None, 0),
    ]
    h100, l40s = node_pools(map(node_of, objects))
    assert (h100.name, h100.type, h100.resource, h100.devices) == (things.H100, "H100", "nvidia.com/gpu", 8)
    assert (h100.nodes, h100.zones) == (("a", "b", "c", "d"), ("a", "z2"))
    assert (h100.ready, h100.cpus) == (2, Decimal(24))
    assert h100.taints == (Taint("nvidia.com/gpu", "present", "NoSchedule"),)
    assert h100.selector == {"nvidia.com/gpu.product": things.H100}
    assert (l40s.type, l40s.devices, l40s.taints) == ("L40S", 4, ())


@pytest.mark.parametrize(
    "label", ["karpenter.sh/nodepool", "cloud.google.com/gke-nodepool", "eks.amazonaws.com/nodegroup"]
)
def test_a_pool_has_the_name_that_its_cloud_gives_it(label: str) -> None:
    [pool] = node_pools([node_of(things.node("a", labels={label: "big"}))])
    assert (pool.name, pool.selector) == ("big", {"nvidia.com/gpu.product": things.H100})


def test_devices_of_one_named_pool_that_differ_are_pools_of_their_own() -> None:
    named = {"karpenter.sh/nodepool": "gpus"}
    nodes = [things.node("a", gpus=1, labels=named), things.node("b", gpus=8, labels=named)]
    nodes.append(things.node("c", gpus=7, labels=named, resource="nvidia.com/mig-1g.10gb"))
    pools = node_pools(map(node_of, nodes))
    assert [(pool.resource, pool.devices, pool.is_sliced) for pool in pools] == [
        ("nvidia.com/gpu", 1, False),
        ("nvidia.com/gpu", 8, False),
        ("nvidia.com/mig-1g.10gb", 7, True),
    ]


def test_a_taint_of_one_node_and_one_that_only_prefers_are_not_the_pools() -> None:
    prefers = {"key": "spot", "value": "true", "effect": "PreferNoSchedule"}
    nodes = [
        things.node("a", taints=[things.TAINT, prefers]),
        things.node(
            "b", taints=[things.TAINT, prefers, {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]
        ),
    ]
    [pool] = node_pools(map(node_of, nodes))
    assert [str(taint) for taint in pool.taints] == ["nvidia.com/gpu=present:NoSchedule"]
