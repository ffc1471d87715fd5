"""Watches: what they tell, from where they go on, and how they end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import urllib3
from kubernetes import client, watch

from tests.cluster.kubernetes.api_server.plant import CONFIG_MAPS, ask, config_map
from tests.cluster.kubernetes.api_server.server import ApiServer
from tests.cluster.kubernetes.api_server.watching import Instruction

Events = Iterator[dict[str, Any]]


@contextmanager
def watching(server: ApiServer, **query: str) -> Iterator[Events]:
    """The events of config maps, once the watch is open."""
    with urllib3.PoolManager(retries=False) as pool:
        fields = {"watch": "true", **query}
        response = pool.request("GET", server.url + CONFIG_MAPS, fields=fields, preload_content=False, timeout=20.0)
        assert response.status == 200
        try:
            yield (json.loads(line) for line in response)
        finally:
            response.close()


def version_of(server: ApiServer) -> str:
    return str(ask(server, "GET", CONFIG_MAPS).json()["metadata"]["resourceVersion"])


def told(event: dict[str, Any]) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"]["name"]


def change(server: ApiServer, name: str, value: str) -> None:
    server.put(config_map(name, {"a": value}))


def test_a_watch_tells_what_becomes_of_objects(server: ApiServer) -> None:
    server.put(config_map("old"))
    with watching(server, resourceVersion=version_of(server)) as events:
        change(server, "c", "1")
        change(server, "c", "2")
        server.remove("ConfigMap", "c")
        assert [told(next(events)) for _ in range(2)] == [("ADDED", "c"), ("MODIFIED", "c")]
        removed = next(events)
    assert told(removed) == ("DELETED", "c")
    assert removed["object"]["data"] == {"a": "2"}
    assert int(removed["object"]["metadata"]["resourceVersion"]) == server.registry.store.version


@pytest.mark.parametrize("query", [{}, {"resourceVersion": "0"}])
def test_a_watch_from_nowhere_begins_with_what_is_there(server: ApiServer, query: dict[str, str]) -> None:
    server.put(config_map("old"))
    with watching(server, **query) as events:
        assert told(next(events)) == ("ADDED", "old")
        change(server, "old", "1")
        assert told(next(events)) == ("MODIFIED", "old")


def test_a_watch_goes_on_behind_a_version(server: ApiServer) -> None:
    change(server, "c", "1")
    version = version_of(server)
    change(server, "c", "2")
    change(server, "d", "1")
    with watching(server, resourceVersion=version) as events:
        assert [told(next(events)) for _ in range(2)] == [("MODIFIED", "c"), ("ADDED", "d")]


def test_an_object_comes_and_goes_with_its_labels(server: ApiServer) -> None:
    server.put(config_map("c", {}, colour="blue"))
    query = {"resourceVersion": version_of(server), "labelSelector": "colour=red"}
    with watching(server, **query) as events:
        for colour in ("red", "red", "blue"):
            server.put(config_map("c", {"a": str(server.registry.store.version)}, colour=colour))
        server.put(config_map("other", {}, colour="red"))
        assert [told(next(events)) for _ in range(4)] == [
            ("ADDED", "c"),
            ("MODIFIED", "c"),
            ("DELETED", "c"),
            ("ADDED", "other"),
        ]


def test_other_resources_and_namespaces_are_not_told(server: ApiServer) -> None:
    with watching(server, resourceVersion=version_of(server)) as events:
        server.put(config_map("c"), "elsewhere")
        server.put({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}})
        server.put(config_map("d"))
        assert told(next(events)) == ("ADDED", "d")


def test_a_version_that_is_forgotten_is_an_event_with_410(server: ApiServer) -> None:
    version = version_of(server)
    server.put(config_map("c"))
    server.compact()
    with watching(server, resourceVersion=version) as events:
        [event] = list(events)
    assert event["type"] == "ERROR"
    assert (event["object"]["kind"], event["object"]["code"], event["object"]["reason"]) == ("Status", 410, "Expired")
    assert event["object"]["message"].startswith("too old resource version: ")


def test_the_present_version_is_never_forgotten(server: ApiServer) -> None:
    server.compact()
    with watching(server, resourceVersion=version_of(server)) as events:
        server.put(config_map("c"))
        assert told(next(events)) == ("ADDED", "c")


def test_an_open_watch_can_be_made_to_expire(server: ApiServer) -> None:
    with watching(server, resourceVersion=version_of(server)) as events:
        server.watches.await_open("configmaps", 1)
        server.watches.instruct(Instruction.EXPIRE)
        [event] = list(events)
    assert event["object"]["code"] == 410


@pytest.mark.parametrize("asked", [True, False])
def test_bookmarks_are_told_to_those_who_ask(server: ApiServer, asked: bool) -> None:
    query = {"allowWatchBookmarks": "true"} if asked else {}
    with watching(server, resourceVersion=version_of(server), **query) as events:
        server.watches.await_open("configmaps", 1)
        server.put({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}})
        server.watches.instruct(Instruction.BOOKMARK)
        server.watches.instruct(Instruction.END)
        found = list(events)
    assert [event["type"] for event in found] == (["BOOKMARK", "BOOKMARK"] if asked else [])
    for event in found:
        assert event["object"]["kind"] == "ConfigMap"
        assert event["object"]["metadata"]["resourceVersion"] == str(server.registry.store.version)


def test_a_watch_ends_after_its_time(server: ApiServer) -> None:
    with watching(server, resourceVersion=version_of(server), timeoutSeconds="0.05") as events:
        assert list(events) == []


def test_initial_events_end_with_a_bookmark_that_says_so(server: ApiServer) -> None:
    server.put(config_map("c"))
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    with watching(server, **query) as events:
        assert told(next(events)) == ("ADDED", "c")
        end = next(events)
    assert (end["type"], end["object"]["metadata"]["annotations"]) == (
        "BOOKMARK",
        {"k8s.io/initial-events-end": "true"},
    )


def test_a_connection_that_is_cut_is_no_end(server: ApiServer) -> None:
    with watching(server, resourceVersion=version_of(server)) as events:
        server.watches.await_open("configmaps", 1)
        server.watches.instruct(Instruction.CUT)
        with pytest.raises(urllib3.exceptions.HTTPError):
            list(events)


def test_a_watch_whose_client_has_gone_is_closed(server: ApiServer) -> None:
    with watching(server, resourceVersion=version_of(server)):
        server.watches.await_open("configmaps", 1)
    server.watches.await_open("configmaps", 0)


def test_the_official_client_watches(server: ApiServer) -> None:
    core = client.CoreV1Api(server.client())
    server.put(config_map("c"))
    found = []

    def end() -> None:
        server.watches.await_open("configmaps", 1)
        server.put(config_map("d"))
        server.watches.instruct(Instruction.END)

    thread = threading.Thread(target=end)
    thread.start()
    stream: Any = watch.Watch()
    for event in stream.stream(core.list_namespaced_config_map, "default", timeout_seconds=20):
        found.append((event["type"], event["object"].metadata.name))
        if len(found) == 2:
            stream.stop()
    thread.join()
    assert found == [("ADDED", "c"), ("ADDED", "d")]
