from __future__ import annotations

import asyncio
import gc
import hmac
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from unittest.mock import patch

import pytest

from deployments.errors import InvalidApiKey, Unavailable
from deployments.tenancy.directory.directory import Declared
from deployments.tenancy.keys import parse_key
from deployments.tenancy.tenant import Access, Limits
from deployments.tenancy.verification import Verifier
from tests.deployments.state.servers import Place
from tests.deployments.tenancy.directory.directories import directory_at
from tests.deployments.tenancy.verifiers import (
    ACME,
    BRAVO,
    FORGED,
    HERE,
    KEY,
    NOW,
    OTHER,
    SETTINGS,
    UNKNOWN,
    Bench,
    Clock,
    key_number,
    record,
    settled,
)


async def test_a_key_opens_what_its_tenant_and_it_have() -> None:
    bench = Bench(record(OTHER, "bravo", scopes=("generate",), models=("tiny", "large")))
    access = await bench.verify(OTHER)
    assert (access.tenant, access.key) == (
        BRAVO,
        record(OTHER, "bravo", scopes=("generate",), models=("tiny", "large")),
    )
    assert [access.may_use(model) for model in ("tiny", "large")] == [True, False]


@pytest.mark.parametrize("header", [f"Bearer {KEY}", f"bearer {KEY}", f"BEARER  {KEY} "])
async def test_the_scheme_is_read_as_http_says(header: str) -> None:
    assert (await Bench(record(KEY)).verifier.verify(header, HERE)).tenant == ACME


REFUSED: dict[str, str | None] = {
    "missing": None,
    "empty": "",
    "no key": "Bearer ",
    "no scheme": KEY,
    "another scheme": f"Basic {KEY}",
    "malformed": "Bearer sk-abcdef",
    "no ASCII": "Bearer é",
    "mistyped": f"Bearer {KEY[:-1]}",
    "two keys": f"Bearer {KEY},{OTHER}",
    "unknown": f"Bearer {UNKNOWN}",
    "forged": f"Bearer {FORGED}",
    "expired": f"Bearer {key_number(4)}",
    "revoked": f"Bearer {key_number(5)}",
    "revoked by a gateway whose clock is ahead": f"Bearer {key_number(6)}",
    "declared and expired": f"Bearer {key_number(7)}",
}


@pytest.mark.parametrize("header", REFUSED.values(), ids=REFUSED)
async def test_every_refusal_has_the_same_words(header: str | None) -> None:
    bench = Bench(
        record(KEY),
        record(key_number(4), expires_at=NOW),
        record(key_number(5), revoked_at=NOW - 1.0),
        record(key_number(6), revoked_at=NOW + 1.0),
        declared=Declared((ACME,), (record(key_number(7), expires_at=NOW - 1.0, declared=True),)),
    )
    with pytest.raises(InvalidApiKey) as refusal:
        await bench.verifier.verify(header, HERE)
    assert refusal.value.envelope("req_1") == InvalidApiKey().envelope("req_1")
    assert refusal.value.headers() == InvalidApiKey().headers()


async def test_each_of_many_keys_works() -> None:
    """Those of one tenant and of several, declared and made by hand, with each other's caches full."""
    keys = [key_number(number) for number in range(100, 400)]
    declared = Declared((ACME,), tuple(record(key, declared=True) for key in keys[:100]))
    by_hand = [record(key, "bravo" if number % 3 else "acme") for number, key in enumerate(keys[100:])]
    bench = Bench(*by_hand, declared=declared, settings=replace(SETTINGS, max_keys=50, max_refused=50))
    expected = ["acme"] * 100 + ["bravo" if number % 3 else "acme" for number in range(200)]
    for _ in range(2):
        found = [await bench.verify(key) for key in keys]
        assert [access.tenant.name for access in found] == expected
        assert [access.key.id for access in found] == [parse_key(key).id for key in keys]


async def test_a_key_that_is_cached_needs_no_look_up_until_it_is_stale() -> None:
    bench = Bench(record(KEY))
    for later, look_ups in ((0.0, 1), (14.9, 1), (15.0, 2), (29.9, 2), (30.0, 3)):
        bench.clock.now = NOW + later
        assert await bench.outcome() == "acme"
        assert bench.directory.asked == [parse_key(KEY).id, "acme"] * look_ups


async def test_a_clock_that_is_set_back_keeps_nothing_longer() -> None:
    bench = Bench(record(KEY))
    await bench.verify()
    bench.clock.now = NOW - 3600.0
    await bench.verify()
    assert len(bench.directory.asked) == 4


async def test_an_unknown_key_is_looked_up_once_in_a_while() -> None:
    bench = Bench()
    for later, look_ups in ((0.0, 1), (4.9, 1), (5.0, 2)):
        bench.clock.now = NOW + later
        assert await bench.outcome(UNKNOWN) == "invalid_api_key"
        assert len(bench.directory.asked) == look_ups


async def test_a_malformed_key_is_never_looked_up() -> None:
    bench = Bench(record(KEY))
    assert await bench.outcome(KEY[:-1] + "_") == "invalid_api_key"
    assert bench.directory.asked == []


async def test_unknown_and_forged_keys_take_the_same_path() -> None:
    """As many look-ups and as many comparisons, each with a whole digest and in constant time."""
    courses = []
    for key in (UNKNOWN, FORGED):
        bench = Bench(record(KEY))
        with patch("hmac.compare_digest", wraps=hmac.compare_digest) as compare:
            assert await bench.outcome(key) == "invalid_api_key"
        courses.append((len(bench.directory.asked), [tuple(map(len, call.args)) for call in compare.call_args_list]))
    assert courses == [(1, [(64, 64)] * 2)] * 2


async def test_a_forged_key_does_no_harm_to_the_one_whose_id_it_has() -> None:
    bench = Bench(record(KEY))
    for _ in range(3):
        assert [await bench.outcome(key) for key in (FORGED, KEY, FORGED)] == [
            "invalid_api_key",
            "acme",
            "invalid_api_key",
        ]
    assert len(bench.directory.asked) == 3


async def test_many_requests_with_one_new_key_make_one_look_up() -> None:
    bench = Bench(record(KEY))
    bench.directory.gate.clear()
    asking = [asyncio.create_task(bench.verify()) for _ in range(50)]
    await settled()
    asking[0].cancel()
    await settled()
    bench.directory.gate.set()
    told = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(told[0], asyncio.CancelledError)
    assert told[1:] == [Access(ACME, record(KEY))] * 49
    assert bench.directory.asked == [parse_key(KEY).id, "acme"]


async def test_when_all_who_asked_have_left_nothing_is_amiss(caplog: pytest.LogCaptureFixture) -> None:
    gc.collect()
    caplog.clear()
    bench = Bench(record(KEY))
    bench.directory.down = True
    asking = asyncio.create_task(bench.verify())
    await asyncio.sleep(0)
    asking.cancel()
    await settled()
    gc.collect()
    assert "never retrieved" not in caplog.text
    bench.directory.down = False
    bench.clock.now += 1.0
    assert await bench.outcome() == "acme"


async def revoke(bench: Bench) -> None:
    await bench.directory.put_key(record(KEY, revoked_at=NOW))


async def remove_key(bench: Bench) -> None:
    await bench.directory.remove_key(parse_key(KEY).id)


async def remove_tenant(bench: Bench) -> None:
    await bench.directory.remove_tenant("acme")


@pytest.mark.parametrize("withdraw", [revoke, remove_key, remove_tenant])
async def test_what_is_withdrawn_takes_effect_at_once(withdraw: Callable[[Bench], object]) -> None:
    bench = Bench(record(KEY), record(OTHER, "bravo"))
    async with bench.serving():
        assert [await bench.outcome(key) for key in (KEY, OTHER)] == ["acme", "bravo"]
        await withdraw(bench)  # type: ignore[misc]
        await settled()
        bench.directory.down = True
        assert [await bench.outcome(key) for key in (KEY, OTHER)] == ["unavailable", "bravo"]
        bench.directory.down, bench.clock.now = False, NOW + 1.0
        assert [await bench.outcome(key) for key in (KEY, OTHER)] == ["invalid_api_key", "bravo"]


async def test_what_is_granted_takes_effect_at_once() -> None:
    bench = Bench()
    async with bench.serving():
        assert await bench.outcome() == "invalid_api_key"
        await bench.directory.put_key(record(KEY))
        await settled()
        assert await bench.outcome() == "acme"
        await bench.directory.put_tenant(replace(ACME, limits=Limits(concurrency=1)))
        await settled()
        assert (await bench.verify()).tenant.limits == Limits(concurrency=1)


async def test_a_look_up_that_a_revocation_overtakes_is_not_kept() -> None:
    bench = Bench(record(KEY))
    async with bench.serving():
        bench.directory.gate.clear()
        asking = asyncio.create_task(bench.outcome())
        await settled()
        await revoke(bench)
        await settled()
        bench.directory.gate.set()
        assert await asking == "acme"
        assert await bench.outcome() == "invalid_api_key"


async def test_a_look_up_that_a_grant_overtakes_is_not_kept() -> None:
    bench = Bench()
    async with bench.serving():
        bench.directory.gate.clear()
        asking = asyncio.create_task(bench.outcome())
        await settled()
        await bench.directory.put_key(record(KEY))
        await settled()
        bench.directory.gate.set()
        assert await asking == "invalid_api_key"
        assert await bench.outcome() == "acme"


async def test_a_key_that_was_found_revoked_does_not_come_back_when_the_store_is_lost() -> None:
    bench = Bench(record(KEY))
    assert await bench.outcome() == "acme"
    await revoke(bench)
    bench.clock.now = NOW + 15.0
    assert await bench.outcome() == "invalid_api_key"
    bench.directory.down, bench.clock.now = True, NOW + 25.0
    assert await bench.outcome() == "unavailable"


async def test_missed_changes_make_every_key_be_looked_up_again() -> None:
    bench = Bench(record(KEY))
    await bench.verify()
    await revoke(bench)
    async with bench.serving():
        assert await bench.outcome() == "invalid_api_key"


async def test_a_key_that_expires_is_refused_from_the_cache_too() -> None:
    bench = Bench(record(KEY, expires_at=NOW + 5.0))
    assert await bench.outcome() == "acme"
    bench.clock.now = NOW + 5.0
    assert await bench.outcome() == "invalid_api_key"


async def test_two_keys_overlap_while_they_are_exchanged() -> None:
    bench = Bench(record(KEY, expires_at=NOW + 60.0), record(OTHER))
    assert [await bench.outcome(key) for key in (KEY, OTHER)] == ["acme", "acme"]
    bench.clock.now = NOW + 60.0
    assert [await bench.outcome(key) for key in (KEY, OTHER)] == ["invalid_api_key", "acme"]


async def test_a_lost_store_is_not_held_against_keys_that_are_known() -> None:
    declared = Declared((BRAVO,), (record(OTHER, "bravo", declared=True),))
    bench = Bench(record(KEY), declared=declared)
    assert await bench.outcome() == "acme"
    bench.directory.down = True
    bench.clock.now = NOW + SETTINGS.stale_seconds - 1.0
    assert [await bench.outcome(key) for key in (KEY, OTHER, UNKNOWN)] == ["acme", "bravo", "unavailable"]
    bench.clock.now = NOW + SETTINGS.stale_seconds
    assert [await bench.outcome(key) for key in (KEY, OTHER)] == ["unavailable", "bravo"]
    bench.directory.down = False
    bench.clock.now += 1.0
    assert [await bench.outcome(key) for key in (KEY, OTHER)] == ["acme", "bravo"]


async def test_a_store_that_does_not_answer_is_left_alone_for_a_while() -> None:
    bench = Bench()
    bench.directory.down = True
    for later, look_ups in ((0.0, 1), (0.9, 1), (1.0, 2)):
        bench.clock.now = NOW + later
        for number in range(5):
            with pytest.raises(Unavailable):
                await bench.verify(key_number(number))
        assert len(bench.directory.asked) == look_ups


async def test_a_lost_store_is_no_failed_attempt() -> None:
    bench = Bench(record(KEY))
    bench.directory.down = True
    outcomes = [await bench.outcome(key_number(number)) for number in range(100)]
    assert set(outcomes) == {"unavailable"}
    bench.directory.down, bench.clock.now = False, NOW + 1.0
    assert await bench.outcome() == "acme"


async def test_declared_keys_need_no_directory_and_are_as_declared() -> None:
    declared = Declared((replace(ACME, weight=3.0),), (record(KEY, declared=True),))
    bench = Bench(record(OTHER), declared=declared)
    assert (await bench.verify()).tenant.weight == 3.0
    assert bench.directory.asked == []
    assert (await bench.verify(OTHER)).tenant.weight == 3.0
    assert bench.directory.asked == [parse_key(OTHER).id]


async def test_a_revocation_reaches_every_gateway_within_a_second(valkey: Place) -> None:
    """Two gateways with connections of their own to one server; the clock that ends caches stands still."""
    async with directory_at(valkey) as admin, directory_at(valkey) as one, directory_at(valkey) as two:
        await admin.put_tenant(ACME)
        await admin.put_key(record(KEY))
        verifiers = [Verifier(directory, Declared(), Clock()) for directory in (one, two)]
        services = [asyncio.create_task(verifier.serve()) for verifier in verifiers]
        for verifier in verifiers:
            assert (await verifier.verify(f"Bearer {KEY}", HERE)).tenant == ACME
        await admin.put_key(record(KEY, revoked_at=NOW))
        async with asyncio.timeout(1.0):
            for verifier in verifiers:
                with suppress(InvalidApiKey):
                    while await verifier.verify(f"Bearer {KEY}", HERE):
                        await admin.tenant("acme")
        for service in services:
            service.cancel()
        await asyncio.gather(*services, return_exceptions=True)


async def test_what_is_declared_anew_takes_the_place_of_what_was() -> None:
    bench = Bench(declared=Declared((ACME,), (record(KEY),)))
    assert await bench.outcome() == "acme"
    bench.verifier.declare(Declared((BRAVO,), (record(OTHER, "bravo"),)))
    assert [await bench.outcome(key) for key in (KEY, OTHER)] == ["invalid_api_key", "bravo"]
