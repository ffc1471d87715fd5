"""What a verifier keeps of failed attempts and of uses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployments.errors import InvalidApiKey, TooManyFailedAttempts
from deployments.tenancy.directory.directory import Declared
from deployments.tenancy.keys import parse_key
from tests.deployments.tenancy.verifiers import (
    ACME,
    BRAVO,
    HERE,
    KEY,
    NOW,
    OTHER,
    SETTINGS,
    UNKNOWN,
    Bench,
    key_number,
    record,
    settled,
)


async def test_too_many_failed_attempts_close_the_door_to_unknown_keys_only() -> None:
    bench = Bench(record(KEY), record(OTHER), declared=Declared((BRAVO,), (record(key_number(8), "bravo"),)))
    assert await bench.outcome() == "acme"
    attempts = [await bench.outcome(key_number(number)) for number in range(100, 130)]
    assert attempts == ["invalid_api_key"] * 20 + ["too_many_failed_attempts"] * 10
    assert [await bench.outcome(key) for key in (KEY, key_number(8), OTHER, "sk-1")] == [
        "acme",
        "bravo",
        "too_many_failed_attempts",
        "too_many_failed_attempts",
    ]
    assert len(bench.directory.asked) == 22
    assert await bench.outcome(OTHER, "192.0.2.2") == "acme"
    bench.clock.now = NOW + 15.0
    assert await bench.outcome() == "acme"


async def test_the_wait_that_is_told_is_the_one_that_helps() -> None:
    bench = Bench()
    for number in range(100, 120):
        await bench.outcome(key_number(number))
    with pytest.raises(TooManyFailedAttempts) as refusal:
        await bench.verify()
    assert refusal.value.retry_after == pytest.approx(3.0)
    bench.clock.now = NOW + 3.001
    assert [await bench.outcome(key_number(number)) for number in (1, 2)] == [
        "invalid_api_key",
        "too_many_failed_attempts",
    ]


async def test_a_request_without_a_key_is_no_attempt() -> None:
    bench = Bench(record(KEY))
    for _ in range(100):
        with pytest.raises(InvalidApiKey):
            await bench.verifier.verify(None, HERE)
    assert await bench.outcome() == "acme"


async def test_the_addresses_of_one_ipv6_network_count_as_one() -> None:
    bench = Bench()
    for number in range(20):
        await bench.outcome(UNKNOWN, f"2001:db8:0:1::{number:x}")
    assert await bench.outcome(UNKNOWN, "2001:db8:0:1:ffff::1") == "too_many_failed_attempts"
    assert await bench.outcome(UNKNOWN, "2001:db8:0:2::1") == "invalid_api_key"


async def test_what_is_remembered_is_bounded() -> None:
    bench = Bench(record(KEY), settings=replace(SETTINGS, max_keys=2, max_refused=2, max_addresses=2))
    for number in range(100, 110):
        await bench.directory.put_key(record(key_number(number)))
        assert await bench.outcome(key_number(number), f"192.0.2.{number}") == "acme"
        assert await bench.outcome(key_number(number + 100), f"192.0.2.{number}") == "invalid_api_key"
    verifier = bench.verifier
    held = (verifier._verified, verifier._refused, verifier._noted, verifier._attempts._empty_at)
    assert [len(each) for each in held] == [2, 2, 2, 2]
    assert not verifier._looking_up


async def test_the_last_use_is_noted_once_an_hour_and_nobody_waits_for_it() -> None:
    bench, id = Bench(record(KEY)), parse_key(KEY).id
    hour = NOW - NOW % 3600.0
    for later in (0.0, 10.0, 3599.0 - NOW % 3600.0):
        bench.clock.now = NOW + later
        await bench.verify()
        await settled()
    assert bench.directory.uses == [(id, hour)]
    bench.clock.now = hour + 3600.0
    await bench.verify()
    await settled()
    assert bench.directory.uses == [(id, hour), (id, hour + 3600.0)]
    found = await bench.directory.key(id)
    assert found is not None
    assert found.last_used_at == hour + 3600.0


async def test_a_use_that_could_not_be_noted_is_noted_later() -> None:
    bench, id = Bench(declared=Declared((ACME,), (record(KEY),))), parse_key(KEY).id
    bench.directory.down = True
    for _ in range(3):
        await bench.verify()
        await settled()
    assert len(bench.directory.uses) == 1
    bench.directory.down, bench.clock.now = False, NOW + 1.0
    await bench.verify()
    await settled()
    assert bench.directory.uses == [(id, NOW - NOW % 3600.0)] * 2
