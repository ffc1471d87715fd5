"""A RayService, read from what KubeRay stores."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cluster.kubernetes.ray_service import MalformedService, Toleration, ray_service_of
from cluster.kubernetes.services import application_of, running_config
from tests.cluster.kubernetes import things
from tests.helm.chart import pick, render


def test_the_service_of_the_chart_is_read() -> None:
    service = ray_service_of(pick(render("mixed"), "RayService"))
    groups = {group.name: group for group in service.groups}
    assert set(groups) == {"gateway", "h100", "l40s"}
    h100 = groups["h100"]
    assert (h100.least, h100.most, h100.resource, h100.devices, h100.cpus) == (1, 4, "nvidia.com/gpu", 1, 12)
    assert h100.requests["memory"] == 64 * Decimal(1 << 30)
    assert h100.tolerations == (Toleration("nvidia.com/gpu", None, "NoSchedule"),)
    assert [model.id for model in running_config(service).models] == ["llada-8b"]
    assert service.autoscales
    assert service.active is None


def test_the_status_is_read() -> None:
    pending = {"rayClusterName": "next", "trafficRoutedPercent": 25}
    conditions = [things.condition("UpgradeInProgress", True, "BothActivePendingClustersExist")]
    status = things.active_status(pendingServiceStatus=pending, conditions=conditions)
    service = ray_service_of(things.ray_service(status=status))
    assert service.is_upgrading
    assert service.pending is not None
    assert (service.pending.name, service.pending.traffic_percent) == ("next", 25)
    assert service.active is not None
    [application] = service.active.applications
    assert application.is_well
    assert [each.name for each in application.deployments] == ["gateway"]


def test_a_first_cluster_that_is_about_to_serve_is_no_upgrade() -> None:
    status = things.active_status(
        activeServiceStatus={}, pendingServiceStatus={"rayClusterName": "first"}, conditions=[]
    )
    service = ray_service_of(things.ray_service(status=status))
    assert not service.is_upgrading
    assert service.active is None


@pytest.mark.parametrize("text", ["{", "just words", "[]", ""])
def test_a_document_that_is_none_of_serves_is_refused_by_name(text: str) -> None:
    value = things.ray_service()
    value["spec"]["serveConfigV2"] = text
    with pytest.raises(MalformedService, match=things.SERVICE):
        ray_service_of(value)


def test_a_service_of_somebody_else_is_refused() -> None:
    value = things.ray_service()
    value["spec"]["serveConfigV2"] = "applications: [{name: a}, {name: b}]"
    with pytest.raises(MalformedService, match="one application"):
        application_of(ray_service_of(value))


def test_a_configuration_of_another_version_is_refused_without_a_trace() -> None:
    value = things.ray_service(things.args(things.LARGE, beams=4))
    with pytest.raises(MalformedService, match="of another version"):
        running_config(ray_service_of(value))


@pytest.mark.parametrize(
    ("toleration", "covers"),
    [
        (Toleration("", None, ""), True),
        (Toleration("gpu", None, ""), True),
        (Toleration("gpu", "present", "NoSchedule"), True),
        (Toleration("gpu", "absent", ""), False),
        (Toleration("gpu", None, "NoExecute"), False),
        (Toleration("team", None, ""), False),
    ],
)
def test_a_toleration_covers_what_kubernetes_says(toleration: Toleration, covers: bool) -> None:
    assert toleration.covers("gpu", "present", "NoSchedule") is covers
