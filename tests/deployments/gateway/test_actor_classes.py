from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import ray
from ray._private import worker
from ray.actor import ActorHandle
from ray.exceptions import RayError

from deployments.gateway.actor_classes import import_actor_classes
from tests.deployments.rays import serving_ray

pytestmark = pytest.mark.full


class LostHead:
    """Where the head was that knows the classes of actors."""

    def internal_kv_get(self, *_: Any, **__: Any) -> bytes:
        raise ConnectionError("there is no head")


class Proxy:
    """As Serve's, it is a class that every process can import."""

    def name(self) -> str:
        return "proxy"


class Replica:
    """Is handed a handle of a proxy while there is no head."""

    def __init__(self, *, prepared: bool) -> None:
        if prepared:
            import_actor_classes()
        worker.global_worker.gcs_client = LostHead()

    def push(self, proxy: ActorHandle) -> str:
        name: str = ray.get(proxy.name.remote())
        return name


@pytest.fixture(scope="module")
def actors() -> Iterator[tuple[Any, Any]]:
    remote = ray.remote(num_cpus=0)
    with serving_ray():
        yield remote(Proxy).remote(), remote(Replica)


def test_a_handle_is_taken_while_there_is_no_head(actors: tuple[Any, Any]) -> None:
    proxy, replica = actors
    assert ray.get(replica.remote(prepared=True).push.remote(proxy), timeout=60) == "proxy"


def test_ray_by_itself_asks_the_head(actors: tuple[Any, Any]) -> None:
    proxy, replica = actors
    with pytest.raises(RayError):
        ray.get(replica.remote(prepared=False).push.remote(proxy), timeout=60)
