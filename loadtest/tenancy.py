"""``python -m loadtest.tenancy``: what keys and limits cost a request, beside a bare PING to the same server.

All over loopback and one after the other: a reservation from every limit with its settlement; a key that was verified
before; and the time from the revocation of a key to its refusal at two other gateways. Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from cluster.valkey import embedded_valkey
from deployments.errors import InvalidApiKey
from deployments.state.client import CallSettings, Clients, ClientSettings
from deployments.state.connect import clients_at
from deployments.tenancy.directory.directory import Declared
from deployments.tenancy.directory.redis import RedisDirectory
from deployments.tenancy.keys import digest_of, make_key, parse_key
from deployments.tenancy.limits.limiter import Charge
from deployments.tenancy.limits.redis import RedisLimiter
from deployments.tenancy.tenant import KeyRecord, Limits, Tenant
from deployments.tenancy.verification import Verifier

TENANT = Tenant("acme", limits=Limits(10**6, 10**8, 10**9, 10**4, 10**10, 10**11))
PATIENT = CallSettings(timeout_seconds=5.0)
RESERVATIONS, VERIFICATIONS, REVOCATIONS = 2000, 20_000, 200
HERE = "127.0.0.1"


def main() -> None:
    """Measure on a server of its own."""
    with embedded_valkey() as server:
        print(json.dumps(asyncio.run(measured(server.url)), indent=2))


async def measured(url: str) -> dict[str, dict[str, float]]:
    """Microseconds, by what was done: the median, the 99th percentile and the greatest."""
    clients, others = clients_at(url, ClientSettings(PATIENT, PATIENT)), clients_at(url)
    limiter = RedisLimiter(clients.admission, lease_seconds=15.0)

    async def pay(number: int) -> None:
        reservation = f"chatcmpl-{number:026d}"
        await limiter.reserve(TENANT, reservation, Charge(1, 500, 4000))
        await limiter.settle(TENANT.name, reservation, Charge(1, 300, 2500))

    figures = {
        "ping": await timed(lambda _: clients.admission.call("PING"), RESERVATIONS),
        "reserve and settle": await timed(pay, RESERVATIONS),
        **await keys(clients, others),
    }
    for each in (clients, others):
        await each.close()
    return figures


async def keys(clients: Clients, others: Clients) -> dict[str, dict[str, float]]:
    """Verifiers of two gateways, and an operator."""
    operator = RedisDirectory(clients.admission, clients.followers)
    await operator.put_tenant(TENANT)
    verifiers = [
        Verifier(RedisDirectory(each.admission, each.followers), Declared(), time.time) for each in (clients, others)
    ]
    services = [asyncio.create_task(verifier.serve()) for verifier in verifiers]
    made = [make_key("load") for _ in range(REVOCATIONS + 1)]
    for key in made:
        await operator.put_key(KeyRecord(parse_key(key).id, TENANT.name, digest_of(key), time.time()))
        for verifier in verifiers:
            await verifier.verify(f"Bearer {key}", HERE)
    kept = made.pop()

    async def revoke(number: int) -> None:
        record = KeyRecord(parse_key(made[number]).id, TENANT.name, digest_of(made[number]), 0.0, revoked_at=1.0)
        await operator.put_key(record)
        for gateway, verifier in enumerate(verifiers):
            with suppress(InvalidApiKey):
                while await verifier.verify(f"Bearer {made[number]}", f"10.{gateway}.0.{number}"):
                    await operator.tenant(TENANT.name)

    revoked = await timed(revoke, REVOCATIONS)
    verified = await timed(lambda _: verifiers[0].verify(f"Bearer {kept}", HERE), VERIFICATIONS)
    for service in services:
        service.cancel()
    await asyncio.gather(*services, return_exceptions=True)
    return {"verify a known key": verified, "revoke at two gateways": revoked}


async def timed(act: Callable[[int], Awaitable[object]], times: int) -> dict[str, float]:
    """``act`` so many times in a row."""
    durations = []
    for number in range(times):
        begun = time.perf_counter()
        await act(number)
        durations.append((time.perf_counter() - begun) * 1e6)
    durations.sort()
    marks = {"p50": times // 2, "p99": times * 99 // 100, "max": times - 1}
    return {name: round(durations[index], 1) for name, index in marks.items()}


if __name__ == "__main__":
    main()
