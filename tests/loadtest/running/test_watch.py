from __future__ import annotations

import httpx

from cluster.client.admin import AdminClient
from cluster.client.retries import RetryPolicy
from loadtest.running.watch import Watch


def test_the_furthest_lag_of_any_queue_is_kept_and_silence_is_no_finding() -> None:
    looks = [[3.0, 90.0], [40.0], None]

    def answer(request: httpx.Request) -> httpx.Response:
        lags = looks.pop(0)
        if lags is None:
            raise httpx.ConnectError("nobody")
        usual = {"name": "q", "waiting": {}, "running": 0, "counters": {}, "jain": 1.0}
        return httpx.Response(200, json={"data": [{**usual, "max_lag": lag} for lag in lags]})

    once = RetryPolicy(retries=0)
    watch = Watch(AdminClient("http://operator", "admin-key", retries=once, transport=httpx.MockTransport(answer)))
    assert watch.max_lag is None
    seen: list[float | None] = []
    for _ in range(3):
        watch.look()
        seen.append(watch.max_lag)
    assert seen == [90.0, 90.0, 90.0]
