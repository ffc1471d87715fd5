from __future__ import annotations

import httpx

from deployments.autoscaling.journal import Journal
from deployments.autoscaling.trace import read_trace
from tests.deployments.autoscaling.seen import spec, told
from tests.deployments.gateway.admin.administration import NOW, Place


def write(place: Place) -> None:
    journal = Journal(place.segments, 3600.0)
    for number in range(90):
        journal.write(told(NOW - 180 + 2 * number, 1, 2 if number == 60 else 1, load=0.9, running=1, waiting=0))


async def test_the_operator_is_told_why(admin: httpx.AsyncClient, place: Place) -> None:
    write(place)
    answer = (await admin.get("/autoscaling/explain")).json()
    (pool,) = answer["data"]
    assert (answer["object"], pool["object"], pool["name"]) == ("list", "pool", "tiny/default")
    assert pool["state"]["age_seconds"] == 2.0
    assert pool["state"]["signals"]["load"] == 0.9
    (change,) = pool["changes"]
    assert (change["before"], change["after"], change["at"]) == (1, 2, NOW - 60)
    assert change["text"].startswith("1 -> 2: tensor 0.91 > 0.75")
    assert pool["last"]["after"] == 1
    assert (await admin.get("/autoscaling/explain", params={"pool": "tiny/default"})).json() == answer
    assert (await admin.get("/autoscaling/explain", params={"pool": "tiny/other"})).json()["data"] == []


async def test_the_trace_can_be_replayed(admin: httpx.AsyncClient, place: Place) -> None:
    write(place)
    reply = await admin.get("/autoscaling/trace")
    assert reply.headers["content-type"] == "application/jsonl"
    trace = read_trace(reply.text.splitlines())
    assert trace.specs == {"tiny/default": spec()}
    assert len(trace.decisions) == len(trace.samples["tiny/default"]) == 90


async def test_nothing_is_scaled(admin: httpx.AsyncClient) -> None:
    assert (await admin.get("/autoscaling/explain")).json()["data"] == []
    assert (await admin.get("/autoscaling/trace")).text == ""
