"""A gateway that asks a server for all it can get, in several threads: a program of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from deployments.errors import ServingError
from deployments.state.address import StateAddress
from deployments.state.client import CallSettings
from deployments.state.connect import _client
from deployments.tenancy.limits.limiter import Charge
from deployments.tenancy.limits.redis import RedisLimiter
from deployments.tenancy.tenant import Limits, Tenant
from tests.deployments.tenancy.limits.limiters import Clock

LIMIT = 60
TENANTS = (
    Tenant("requests", limits=Limits(requests_per_minute=LIMIT)),
    Tenant("work", limits=Limits(work_per_minute=1000 * LIMIT + 999)),
    Tenant("concurrency", limits=Limits(concurrency=LIMIT)),
    Tenant("budget", limits=Limits(work_per_month=1000 * LIMIT + 999)),
)


async def attempt(url: str, caller: str, attempts: int) -> Counter[str]:
    """How many reservations were admitted of each tenant, at a moment that does not pass."""
    client = _client(StateAddress.parse(url), CallSettings(timeout_seconds=30.0))
    limiter, admitted = RedisLimiter(client, lease_seconds=15.0, clock=Clock()), Counter[str]()
    for number in range(attempts):
        for tenant in TENANTS:
            try:
                await limiter.reserve(tenant, f"{caller}-{number}", Charge(requests=1, work=1000))
            except ServingError:
                continue
            admitted[tenant.name] += 1
    await client.close()
    return admitted


def main(url: str, gateway: str, threads: int, attempts: int) -> None:
    """Say when all threads are there, wait for a line, and print what they got."""

    def begin() -> None:
        print("ready", flush=True)
        sys.stdin.readline()

    start = Barrier(threads, action=begin)

    def run(thread: int) -> Counter[str]:
        start.wait()
        return asyncio.run(attempt(url, f"{gateway}-{thread}", attempts))

    with ThreadPoolExecutor(threads) as pool:
        print(json.dumps(sum(pool.map(run, range(threads)), Counter())))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
