"""What only a store on a server can show: time to live, broken indices, servers that fail, and the order of writes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from deployments.state.bounds import Bounds
from deployments.state.client import BLOCK_SECONDS, CallSettings, Client, ClientSettings
from deployments.state.connect import clients_at
from deployments.state.inbox import TTL_SECONDS
from deployments.state.keys import LEASES, RequestKeys, claim_key, inbox_key
from deployments.state.leases import LeaseIndex
from deployments.state.redis import RedisStore
from deployments.state.store import Change, Claim, RequestKey, RequestStore, StateError, StateUnavailable
from tests.deployments.state.conftest import PlaceOf
from tests.deployments.state.records import fresh_record
from tests.deployments.state.servers import Place

TTL = 1000
PLACES = CallSettings(1.0).places


@pytest.fixture
async def store(valkey: Place) -> AsyncIterator[RequestStore]:
    store = valkey.connect(TTL)
    yield store
    await store.close()


@pytest.fixture
def admin(valkey: Place) -> Iterator[Redis]:
    """A client that may look at everything."""
    with Redis(port=valkey.servers[0].port, db=1) as client:
        yield client


@pytest.fixture
def silent_url() -> Iterator[str]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed_url() -> str:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"redis://127.0.0.1:{server.getsockname()[1]}"


async def test_every_write_renews_the_time_to_live_of_all_that_belongs_to_the_request(
    store: RequestStore, admin: Redis
) -> None:
    record = fresh_record()
    keys = RequestKeys.of(record.key)

    def ages() -> dict[str, int]:
        """What is left of those that there are, which is short from then on."""
        left = {name: admin.ttl(key) for name, key in keys._asdict().items() if admin.exists(key)}
        for key in keys:
            admin.expire(key, 10)
        return left

    await store.create(record, plan=b"plan", lease_until=20.0)
    assert ages() == {"record": TTL, "plan": TTL}
    await store.write(record.key, 1, Change(now=11.0, entries=(b"a",), checkpoint=b"half"))
    assert ages() == {"record": TTL, "plan": TTL, "log": TTL, "checkpoint": TTL}
    await store.write(record.key, 1, Change(now=12.0, lease_until=20.0))
    assert ages() == {"record": TTL, "plan": TTL, "log": TTL, "checkpoint": TTL}
    await store.acquire(record.key, "two", 21.0, 30.0)
    assert ages() == {"record": TTL, "plan": TTL, "log": TTL, "checkpoint": TTL}
    await store.write(record.key, 2, Change(now=13.0, status="completed"))
    assert ages() == {"record": TTL, "log": TTL}
    await store.delete(record.key)
    assert ages() == {}


async def test_claims_and_inboxes_expire(store: RequestStore, admin: Redis) -> None:
    await store.claim("acme", "token", Claim("req_1", "digest"))
    await store.send("one", "hello")
    assert admin.ttl(claim_key("acme", "token")) == TTL
    assert admin.ttl(inbox_key("one")) == TTL_SECONDS
    assert await store.receive("one", 0.0) == ("hello",)
    assert admin.xlen(inbox_key("one")) == 0


async def test_the_record_of_another_version_is_refused_by_name(store: RequestStore, admin: Redis) -> None:
    record = fresh_record()
    await store.create(record, lease_until=20.0)
    admin.hset(RequestKeys.of(record.key).record, "schema_version", "1")
    with pytest.raises(StateError, match="schema version 1 cannot be read"):
        await store.get(record.key)
    with pytest.raises(StateError, match="schema version 1 cannot be read"):
        await store.acquire(record.key, "two", 21.0, 30.0)


async def test_an_index_that_is_wrong_is_mended_and_hides_nothing(store: RequestStore, admin: Redis) -> None:
    gone, ended, prolonged, lost, fine = (replace(fresh_record(), id=f"req_{number}") for number in range(5))
    for record in (gone, ended, prolonged, lost, fine):
        await store.create(record, lease_until=20.0)
    await store.write(ended.key, 1, Change(now=11.0, status="completed"))
    await store.settled(ended.key)
    await store.write(prolonged.key, 1, Change(now=11.0, lease_until=50.0))
    admin.delete(RequestKeys.of(gone.key).record)
    admin.zrem(LEASES, f'["acme", "{lost.id}"]')
    admin.zadd(LEASES, {f'["acme", "{prolonged.id}"]': 5.0})
    assert await store.expired(30.0, 1) == (fine.key,)
    assert set(admin.zrange(LEASES, 0, -1, withscores=True)) == {
        (f'["acme", "{fine.id}"]'.encode(), 20.0),
        (f'["acme", "{prolonged.id}"]'.encode(), 50.0),
    }
    await store.write(lost.key, 1, Change(now=12.0, lease_until=25.0))
    assert await store.expired(30.0, 9) == (fine.key, lost.key)


async def test_the_index_follows_the_lease(store: RequestStore, admin: Redis) -> None:
    record = fresh_record()
    member = f'["acme", "{record.id}"]'
    await store.create(record, lease_until=20.0)
    with pytest.raises(StateError):
        await store.create(replace(record, model="another"), lease_until=99.0)
    assert admin.zscore(LEASES, member) == 20.0
    await store.acquire(record.key, "two", 21.0, 30.0)
    assert admin.zscore(LEASES, member) == 30.0
    await store.write(record.key, 2, Change(now=22.0, lease_until=40.0))
    assert admin.zscore(LEASES, member) == 40.0
    await store.write(record.key, 2, Change(now=23.0, status="completed"))
    assert admin.zscore(LEASES, member) == 40.0
    await store.settled(record.key)
    assert admin.zscore(LEASES, member) is None


async def test_an_entry_that_has_changed_meanwhile_is_not_mended(valkey: Place, admin: Redis) -> None:
    key = RequestKey("acme", "req_1")
    client = Client(AsyncRedis(port=valkey.servers[0].port, db=1, protocol=2), CallSettings(timeout_seconds=20.0))
    index = LeaseIndex(client, client)
    await index.enter(key, 30.0)
    await index.correct(key, 20.0, None)
    await index.correct(key, 20.0, 50.0)
    assert admin.zscore(LEASES, '["acme", "req_1"]') == 30.0
    await client.close()


async def test_a_request_is_in_the_index_before_it_is_there(store: RequestStore, valkey: Place, admin: Redis) -> None:
    record = fresh_record()
    valkey.servers[0].say("ACL", "SETUSER", "dllm", "-hset")
    try:
        with pytest.raises(StateUnavailable):
            await store.create(record, lease_until=20.0)
    finally:
        valkey.servers[0].say("ACL", "SETUSER", "dllm", "+hset")
    assert admin.zscore(LEASES, f'["acme", "{record.id}"]') == 20.0
    assert await store.expired(30.0, 9) == ()
    assert admin.zcard(LEASES) == 0


async def test_a_write_does_not_depend_on_the_index(store: RequestStore, admin: Redis) -> None:
    record = fresh_record()
    await store.create(record, lease_until=20.0)
    admin.delete(LEASES)
    admin.set(LEASES, "not an index")
    await store.write(record.key, 1, Change(now=11.0, entries=(b"a",), lease_until=30.0))
    await store.write(record.key, 1, Change(now=12.0, status="cancelled"))
    found = await store.get(record.key)
    assert found is not None
    assert (found.status, found.entries) == ("cancelled", 1)


async def test_all_names_of_a_request_share_a_slot_and_have_its_tenant(admin: Redis) -> None:
    keys = RequestKeys.of(RequestKey("acme", "req_1"))
    assert keys == tuple(f"dllm:{{acme:req_1}}:{part}" for part in ("record", "checkpoint", "plan", "log"))


async def test_more_calls_than_connections_all_succeed(store: RequestStore) -> None:
    record = fresh_record()
    await store.create(record, lease_until=0.0)
    reads = (store.get(record.key) for _ in range(2 * PLACES))
    assert await asyncio.gather(*reads) == [record] * (2 * PLACES)


async def test_followers_are_told_by_the_server_and_hold_up_no_call(store: RequestStore, admin: Redis) -> None:
    record = fresh_record()
    await store.create(record, lease_until=0.0)
    followers = [asyncio.create_task(store.entries(record.key, 0, 600.0)) for _ in range(2 * PLACES)]
    async with asyncio.timeout(60):
        while int(admin.info("clients")["blocked_clients"]) < len(followers):
            assert await store.ping()
    await store.write(record.key, 1, Change(now=11.0, entries=(b"a",)))
    assert await asyncio.gather(*followers) == [(b"a",)] * len(followers)


async def test_a_server_that_is_away_or_silent_is_reported_as_unavailable(closed_url: str, silent_url: str) -> None:
    hasty = CallSettings(timeout_seconds=0.02)
    for url in (closed_url, silent_url):
        store = RedisStore(clients_at(url, ClientSettings(hasty, hasty, hasty)), 60, Bounds())
        for call in (store.get(RequestKey("acme", "x")), store.create(fresh_record()), store.send("one", "a")):
            with pytest.raises(StateUnavailable, match="does not answer"):
                await call
        assert not await store.ping()
        await store.close()


def test_admission_waits_less_than_a_running_request_does() -> None:
    settings = ClientSettings()
    assert settings.admission.limit_seconds == pytest.approx(0.42)
    assert settings.state.limit_seconds == pytest.approx(2.02)
    assert settings.followers.timeout_seconds > BLOCK_SECONDS


@pytest.mark.full
@pytest.mark.parametrize("program", ["valkey", "redis"])
async def test_after_a_failover_the_replica_takes_the_writes(place_of: PlaceOf, program: str) -> None:
    place, record = place_of(f"{program}-sentinel-failing"), fresh_record()
    store = place.connect()
    await store.create(record, lease_until=20.0)
    with place.servers[0].admin() as primary:
        assert primary.wait(1, 5000) == 1
    place.servers[0].process.kill()
    place.servers[0].process.wait()
    async with asyncio.timeout(60):
        while not await store.ping():
            pass
    await store.write(record.key, 1, Change(now=11.0, entries=(b"after",)))
    assert await store.entries(record.key) == (b"after",)
    assert await store.expired(21.0, 9) == (record.key,)
    await store.close()
