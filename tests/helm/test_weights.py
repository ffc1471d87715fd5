"""How checkpoints come to every Ray pod."""

from __future__ import annotations

from typing import Any

from tests.helm.chart import pick, ray_pods, render


def pods(*values: str, **sets: str) -> list[Any]:
    return [template["spec"] for template in ray_pods(pick(render(*values, **sets), "RayService")).values()]


def mounts(spec: Any) -> dict[str, Any]:
    return {mount["name"]: mount for mount in spec["containers"][0]["volumeMounts"]}


def volumes(spec: Any) -> dict[str, Any]:
    return {volume["name"]: volume for volume in spec["volumes"]}


def environment(spec: Any) -> dict[str, str]:
    return {each["name"]: each["value"] for each in spec["containers"][0]["env"] if "value" in each}


def test_the_hubs_files_are_kept_on_a_claim_and_its_token_is_a_file() -> None:
    for spec in pods("h100", weights__hub__existingSecret='"hub"'):
        assert environment(spec)["HF_HOME"] == mounts(spec)["hub"]["mountPath"]
        assert volumes(spec)["hub"]["persistentVolumeClaim"]["claimName"] == "dllm-hub"
        assert environment(spec)["HF_TOKEN_PATH"] == f"{mounts(spec)['hub-token']['mountPath']}/token"
        assert volumes(spec)["hub-token"]["secret"]["secretName"] == "hub"


def test_without_a_claim_each_pod_has_a_cache_of_its_own() -> None:
    for spec in pods("h100", weights__hub__claim='""'):
        assert volumes(spec)["hub"] == {"name": "hub", "emptyDir": {"sizeLimit": "100Gi"}}
        assert "HF_TOKEN_PATH" not in environment(spec)


def test_a_claim_with_checkpoints_is_read_only() -> None:
    for spec in pods("mixed"):
        assert mounts(spec)["checkpoints"] == {"name": "checkpoints", "mountPath": "/models", "readOnly": True}
        assert volumes(spec)["checkpoints"]["persistentVolumeClaim"] == {"claimName": "dllm-models", "readOnly": True}


def test_an_object_store_is_copied_before_ray_starts() -> None:
    for spec in pods("ha"):
        [copy] = spec["initContainers"]
        assert copy["args"][-2:] == ["store:models", "/weights"]
        written = {mount["mountPath"]: mount for mount in copy["volumeMounts"]}
        assert written["/weights"]["name"] == "object-store"
        assert "readOnly" not in written["/weights"]
        assert written["/etc/rclone"]["readOnly"] is True
        assert "env" not in copy
        assert mounts(spec)["object-store"]["readOnly"] is True


def test_nothing_is_fetched_unless_it_is_asked_for() -> None:
    for spec in pods():
        assert "initContainers" not in spec
        assert not {"hub", "checkpoints", "object-store"} & volumes(spec).keys()
