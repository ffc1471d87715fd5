"""Bounds kept up to date through the API: conflicts, upgrades, missing rights, shortages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from cluster.kubernetes.errors import Changed, Refused
from cluster.kubernetes.keeping import Keeping, keep
from cluster.kubernetes.ray_service import MalformedService, ray_service_of
from cluster.kubernetes.settle import ATTEMPTS, Settlement, settle
from cluster.kubernetes.shortage import Shortage
from tests.cluster.kubernetes import things
from tests.cluster.kubernetes.api_server import ApiServer

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
KNOWN = Shortage(300.0, 900.0, {})


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with things.kubernetes_server() as server:
        server.put(things.ray_service())
        for index in range(2):
            server.put(things.node(f"h{index}", things.H100))
        yield server


def look(
    server: ApiServer,
    *,
    may_write: Callable[[], bool] = lambda: True,
    elastic: bool = False,
    shortage: Shortage = KNOWN,
    now: float = NOON,
) -> Settlement:
    kubernetes = things.reached(server)
    return settle(kubernetes, things.NAMESPACE, None, shortage, now, elastic=elastic, may_write=may_write)


def stored(server: ApiServer) -> dict[str, tuple[int, int]]:
    service = ray_service_of(server.read("RayService", things.SERVICE, things.NAMESPACE))
    return {group.name: (group.least, group.most) for group in service.groups}


def patches(server: ApiServer) -> int:
    return sum(asked.verb == "patch" for asked in server.requests.arrived)


def test_bounds_are_brought_to_what_there_is_room_for(server: ApiServer) -> None:
    found = look(server)
    assert (found.differs, found.patched, found.held) == (True, True, None)
    assert stored(server) == {"gateway": (2, 2), "h100": (1, 2), "l40s": (0, 0)}


def test_what_is_so_already_is_not_patched(server: ApiServer) -> None:
    look(server)
    again = look(server)
    assert (again.differs, again.patched, patches(server)) == (False, False, 1)


def test_bounds_come_back_with_the_nodes(server: ApiServer) -> None:
    look(server)
    for index in range(9):
        server.put(things.node(f"l{index}", things.L40S))
    look(server)
    assert stored(server)["l40s"] == (1, 4)


def test_who_may_not_write_does_not(server: ApiServer) -> None:
    found = look(server, may_write=lambda: False)
    assert (found.differs, found.patched, patches(server)) == (True, False, 0)


def test_with_nodes_to_be_had_they_are_not_even_read(server: ApiServer) -> None:
    look(server, elastic=True)
    assert stored(server) == {"gateway": (2, 2), "h100": (1, 4), "l40s": (1, 4)}
    assert not any(asked.resource == "nodes" for asked in server.requests.arrived)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"suspend": True}, "the service is suspended"),
        ({"rayClusterConfig": {"enableInTreeAutoscaling": False}}, "the autoscaler of Ray is off"),
    ],
)
def test_a_service_that_is_not_scaled_is_left_alone(server: ApiServer, change: things.Object, why: str) -> None:
    value = things.ray_service()
    server.put({**value, "spec": change, "status": value["status"]})
    found = look(server)
    assert found.held is not None
    assert found.held.startswith(why)
    assert (found.plan, patches(server)) == (None, 0)


def test_an_upgrade_is_left_alone(server: ApiServer) -> None:
    server.put(things.ray_service(status=things.active_status(pendingServiceStatus={"rayClusterName": "next"})))
    assert look(server).held == "an upgrade is in progress, in which two Ray clusters share what there is"


def test_a_service_without_declared_bounds_is_refused(server: ApiServer) -> None:
    value = things.ray_service()
    value["metadata"]["annotations"] = {"dllm/declared-bounds": None}
    server.put(value)
    with pytest.raises(MalformedService, match="dllm/declared-bounds is missing"):
        look(server)


def test_a_change_meanwhile_is_planned_for_anew(server: ApiServer) -> None:
    """Between the look and the patch somebody else sets other bounds, and a node comes."""

    def meddle() -> bool:
        if patches(server) == 0:
            value = things.ray_service()
            value["spec"]["rayClusterConfig"]["workerGroupSpecs"][1]["maxReplicas"] = 3
            server.put(value)
            server.put(things.node("l0", things.L40S))
        return True

    assert look(server, may_write=meddle).patched
    assert stored(server) == {"gateway": (2, 2), "h100": (1, 2), "l40s": (1, 1)}
    assert patches(server) == 2


def test_changing_for_ever_is_given_up(server: ApiServer) -> None:
    def meddle() -> bool:
        value = things.ray_service()
        value["spec"]["rayClusterConfig"]["workerGroupSpecs"][1]["maxReplicas"] = 3 + patches(server)
        server.put(value)
        return True

    with pytest.raises(Changed):
        look(server, may_write=meddle)
    assert patches(server) == ATTEMPTS


def test_a_patch_that_is_refused_for_good_is_tried_once(server: ApiServer) -> None:
    server.refuse(422, "patch", "rayservices", times=99)
    with pytest.raises(Changed):
        look(server)
    assert patches(server) == 1


def test_a_leader_that_loses_the_lease_during_its_look_writes_nothing(server: ApiServer) -> None:
    leads = iter([False])
    assert not look(server, may_write=lambda: next(leads)).patched
    assert patches(server) == 0


def test_a_group_whose_pods_wait_in_vain_is_short_and_gives_its_share(server: ApiServer) -> None:
    server.put(things.ray_service(things.args(things.EITHER)))
    server.put(things.pod("h-1", "h100", "h0"))
    server.put(things.pod("h-2", "h100", None, waits_since="2026-11-22T11:50:00Z"))
    for index in range(4):
        server.put(things.node(f"l{index}", things.L40S))
    found = look(server)
    assert found.shortage.groups == {"h100"}
    assert stored(server) == {"gateway": (2, 2), "h100": (1, 1), "l40s": (1, 3)}
    server.remove("Pod", "h-2", things.NAMESPACE)
    look(server, shortage=found.shortage, now=NOON + 60)
    assert stored(server)["h100"] == (1, 1)
    look(server, shortage=found.shortage, now=NOON + 900)
    assert stored(server)["h100"] == (2, 2)


def test_missing_rights_are_told(server: ApiServer) -> None:
    server.refuse(403, "list", "resourcequotas")
    with pytest.raises(Refused) as caught:
        look(server)
    assert caught.value.status == 403


def test_the_loop_settles_tells_what_went_wrong_and_goes_on_until_it_is_stopped(server: ApiServer) -> None:
    stopping, told = threading.Event(), list[Settlement | Exception]()

    def tell(found: Settlement | Exception) -> None:
        told.append(found)
        if isinstance(found, Settlement):
            stopping.set()

    server.refuse(403, "list", "pods")
    keeping = Keeping(things.NAMESPACE, things.RELEASE, "dllm-capacity", "me", 0.01, elastic=False)
    keep(things.reached(server), keeping, KNOWN, tell, stopping, clock=lambda: NOON)
    assert isinstance(told[0], Refused)
    assert isinstance(told[-1], Settlement)
    assert told[-1].patched
    assert server.read("Lease", "dllm-capacity", things.NAMESPACE)["spec"]["holderIdentity"] == ""


def test_the_loop_does_nothing_while_another_leads(server: ApiServer) -> None:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "dllm-capacity", "namespace": things.NAMESPACE},
        "spec": {
            "holderIdentity": "another",
            "leaseDurationSeconds": 15,
            "renewTime": "2026-11-22T12:00:00.000000Z",
            "acquireTime": "2026-11-22T12:00:00.000000Z",
            "leaseTransitions": 0,
        },
    }
    server.put(lease)
    stopping = threading.Event()
    keeping = Keeping(things.NAMESPACE, things.RELEASE, "dllm-capacity", "me", 0.01, elastic=False)

    def never(found: Settlement | Exception) -> None:
        raise AssertionError(f"it settled: {found}")

    loop = threading.Thread(target=keep, args=(things.reached(server), keeping, KNOWN, never, stopping))
    loop.start()
    server.requests.wait_for(lambda asked: asked.resource == "leases")
    stopping.set()
    loop.join()
    assert not any(asked.resource == "rayservices" for asked in server.requests.arrived)
