"""Values for the chart, which the real helm renders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.kubernetes.node_pools import NodePool, node_of, node_pools
from cluster.kubernetes.ray_service import ray_service_of
from cluster.kubernetes.render import RenderError, render
from cluster.kubernetes.services import running_config
from deployments.config import ClusterConfig
from tests.cluster.kubernetes import things
from tests.helm import chart


def pools_of(*objects: things.Object) -> tuple[NodePool, ...]:
    return node_pools(map(node_of, objects))


BOTH = pools_of(
    *(things.node(f"h{index}", things.H100, 8) for index in range(2)),
    *(things.node(f"l{index}", things.L40S, 4, taints=[]) for index in range(3)),
)


def configuration(*pools: things.Object, **changes: Any) -> ClusterConfig:
    model = {"id": "llada", "checkpoint": "/models/llada", "device": "cuda", "pools": list(pools)}
    return ClusterConfig.model_validate({"models": [model], **changes})


def charted(tmp_path: Path, config: ClusterConfig, found: tuple[NodePool, ...]) -> things.Object:
    """The RayService that helm makes of the rendered values."""
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(render(config, found).values), encoding="utf-8")
    return chart.pick(chart.render(str(values)), "RayService")


def test_pools_get_groups_on_the_nodes_that_have_their_accelerator(tmp_path: Path) -> None:
    config = configuration(things.LARGE, things.SMALL, gateway={"replicas": 3})
    service = charted(tmp_path, config, BOTH)
    groups = {group.name: group for group in ray_service_of(service).groups}
    assert set(groups) == {"gateway", "h100", "l40s"}
    h100 = groups["h100"]
    assert (h100.least, h100.most, h100.devices, h100.cpus) == (1, 4, 1, 6)
    assert h100.selector == {"nvidia.com/gpu.product": things.H100}
    assert [each.key for each in h100.tolerations] == ["nvidia.com/gpu"]
    assert groups["l40s"].tolerations == ()
    assert groups["gateway"].least == 3
    running = running_config(ray_service_of(service))
    assert [pool.name for pool in running.models[0].pools] == ["large", "small"]
    assert running.gateway.replicas == 3


def test_a_pool_of_either_accelerator_gets_a_group_on_each(tmp_path: Path) -> None:
    service = ray_service_of(charted(tmp_path, configuration(things.EITHER), BOTH))
    sizes = {group.name: (group.least, group.most) for group in service.groups}
    assert sizes == {"gateway": (1, 1), "h100": (2, 4), "l40s": (0, 4)}


def test_labels_of_pools_are_offered_by_their_groups(tmp_path: Path) -> None:
    tiers = {"tier": "in(large, huge)", "dllm/pool": "long"}
    labelled = {**things.LARGE, "accelerator": {"type": "H100", "labels": tiers}}
    service = ray_service_of(charted(tmp_path, configuration(labelled, things.LARGE | {"name": "plain"}), BOTH))
    groups = {group.name: dict(group.labels) for group in service.groups}
    assert groups["long"]["tier"] == "large"
    assert set(groups) == {"gateway", "long", "h100"}


def test_slices_are_asked_for_by_their_own_name(tmp_path: Path) -> None:
    sliced = pools_of(things.node("m", things.H100, 7, resource="nvidia.com/mig-1g.10gb"))
    service = ray_service_of(charted(tmp_path, configuration(things.LARGE), sliced))
    [_, group] = service.groups
    assert (group.name, group.resource, group.devices) == ("h100-mig-1g-10gb", "nvidia.com/mig-1g.10gb", 1)


def test_models_on_cpus_need_no_gpu_nodes(tmp_path: Path) -> None:
    service = ray_service_of(charted(tmp_path, ClusterConfig(), ()))
    assert [(group.name, group.resource) for group in service.groups] == [("gateway", None), ("cpu", None)]
    assert [model.id for model in running_config(service).models] == ["tiny-code", "tiny-sudoku"]


@pytest.mark.parametrize("gpus", [0.25, 1.0, 2.0, 8.0])
def test_any_share_of_a_node_fits_its_pods(tmp_path: Path, gpus: float) -> None:
    pool = {**things.LARGE, "gpus": gpus, "cpus": 2.0, "replicas": 3, "max_replicas": 5}
    service = ray_service_of(charted(tmp_path, configuration(pool), BOTH))
    [_, group] = service.groups
    replicas = int(1 / gpus) if gpus < 1 else 1
    assert group.devices == max(1, int(gpus))
    assert group.most * replicas >= 5


def test_a_pool_whose_accelerator_no_node_has_is_refused_with_what_there_is() -> None:
    b200 = {**things.LARGE, "accelerator": {"type": "B200"}}
    with pytest.raises(
        RenderError, match="pool llada/large: no node has 1 B200; the cluster has 4 L40S a node, 8 H100 a"
    ):
        render(configuration(b200), BOTH)
    with pytest.raises(RenderError, match="no GPUs that its nodes tell of"):
        render(configuration(b200), ())
    with pytest.raises(RenderError, match="16 H100"):
        render(configuration({**things.LARGE, "gpus": 16.0}), BOTH)


def test_labels_that_forbid_what_the_chart_sets_are_refused() -> None:
    forbidding = {**things.LARGE, "accelerator": {"type": "H100", "labels": {"dllm/pool": "!h100"}}}
    with pytest.raises(RenderError, match="write it by hand"):
        render(configuration(forbidding), BOTH)


def test_what_is_left_out_and_what_does_not_fit_yet_is_noted() -> None:
    config = configuration({**things.LARGE, "max_replicas": 20}, state={"url": "redis://h:6379/0"})
    assert render(config, BOTH).notes == (
        "state.url: left out, since the chart says it",
        "gateway.cpus: 1, since each gateway has a pod with whole processors",
        "h100: up to 20 pods, of which the nodes that there are hold 16",
    )
