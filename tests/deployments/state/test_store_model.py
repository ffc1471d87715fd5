"""Random sequences of calls, with a clock of their own, against a model."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from deployments.state.bounds import Bounds
from deployments.state.memory import MemoryStore
from deployments.state.record import RequestRecord
from deployments.state.store import Change, RequestKey, RequestStore, StateError
from tests.deployments.state.model import Model, ModelRequest
from tests.deployments.state.records import fresh_record
from tests.deployments.state.servers import Place

MAX_ENTRIES = 4
BOUNDS = Bounds(log_entries=MAX_ENTRIES)
LEASE = 10.0

T = TypeVar("T")

KEYS = st.sampled_from([RequestKey(tenant, id) for tenant in ("acme", "rival") for id in ("a", "b")])
OWNERS = st.sampled_from(["one", "two"])
LOGS = st.lists(st.sampled_from([b"x", b"y"]), max_size=3).map(tuple)
STATUSES = st.sampled_from([None, None, "running", "completed", "failed"])


class StoreMachine(RuleBasedStateMachine):
    """Gateways that create, write, lose and take requests of a few ids."""

    def __init__(self, place: Place | None) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        if place is not None:
            place.flush()
        self.store: RequestStore = MemoryStore(BOUNDS) if place is None else place.connect(bounds=BOUNDS)
        self.model, self.now, self.creations = Model(MAX_ENTRIES), 100.0, 0

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()

    @rule(seconds=st.floats(0.25, LEASE))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(key=KEYS, owner=OWNERS)
    def create(self, key: RequestKey, owner: str) -> None:
        self.creations += 1
        record = replace(fresh_record(), tenant=key.tenant, id=key.id, owner=owner, created_at=self.creations)
        if key in self.model.requests:
            with pytest.raises(StateError):
                self.run(self.store.create(record, lease_until=self.now + LEASE))
            return
        for _ in range(2):
            self.run(self.store.create(record, plan=b"plan", lease_until=self.now + LEASE))
        self.model.requests[key] = ModelRequest(owner, self.now + LEASE)

    @rule(key=KEYS, back=st.integers(-1, 2), stale=st.booleans(), entries=LOGS, status=STATUSES, renew=st.booleans())
    def write(
        self, key: RequestKey, back: int, stale: bool, entries: tuple[bytes, ...], status: Any, renew: bool
    ) -> None:
        request = self.model.requests.get(key, ModelRequest("", 0.0))
        change = Change(
            now=self.now,
            after=max(0, len(request.log) - back),
            entries=entries,
            checkpoint=b"at %d" % len(entries) if entries else None,
            lease_until=self.now + LEASE if renew else None,
            status=status,
        )
        epoch = request.epoch - stale
        refusal = self.model.refusal(key, epoch, change)
        if refusal is not None:
            with pytest.raises(StateError) as raised:
                self.run(self.store.write(key, epoch, change))
            assert raised.type is refusal
            return
        for _ in range(2):
            self.run(self.store.write(key, epoch, change))
        self.model.write(key, change)

    @rule(key=KEYS, owner=OWNERS)
    def acquire(self, key: RequestKey, owner: str) -> None:
        taken = self.run(self.store.acquire(key, owner, self.now, self.now + LEASE))
        if key not in self.model.abandoned(self.now):
            request = self.model.requests.get(key)
            repeats = request and not request.end and (request.owner, request.lease_until) == (owner, self.now + LEASE)
            assert (taken is not None) == bool(repeats)
            return
        request = self.model.requests[key]
        request.owner, request.epoch, request.lease_until = owner, request.epoch + 1, self.now + LEASE
        assert taken is not None
        assert (taken.checkpoint, taken.entries) == (request.checkpoint, tuple(request.log))
        self.compare(key, taken.record)

    @rule(key=KEYS)
    def delete(self, key: RequestKey) -> None:
        assert self.run(self.store.delete(key)) == (self.model.requests.pop(key, None) is not None)

    @rule(key=KEYS)
    def settle(self, key: RequestKey) -> None:
        self.run(self.store.settled(key))
        self.model.settle(key)

    @rule(limit=st.integers(1, 4))
    def expired(self, limit: int) -> None:
        expected = self.model.expired(self.now)
        found = self.run(self.store.expired(self.now, limit))
        ends = [self.model.requests[key].lease_until for key in found]
        assert set(found) <= expected
        assert len(found) == min(limit, len(expected))
        assert ends == sorted(self.model.requests[key].lease_until for key in expected)[: len(found)]

    @rule(key=KEYS, after=st.integers(0, 3))
    def read(self, key: RequestKey, after: int) -> None:
        request = self.model.requests.get(key)
        assert self.run(self.store.entries(key, after)) == tuple(request.log[after:] if request else ())
        self.compare(key, self.run(self.store.get(key)))

    def compare(self, key: RequestKey, record: RequestRecord | None) -> None:
        request = self.model.requests.get(key)
        if record is None or request is None:
            assert (record is None) == (request is None)
            return
        lease_until = request.lease_until if request.end is None else 0.0
        assert (record.owner, record.epoch, record.lease_until) == (request.owner, request.epoch, lease_until)
        assert (record.status, record.entries) == (request.status, len(request.log))
        assert record.log_bytes == len(b"".join(request.log))


def test_the_store_in_memory_does_what_the_model_does() -> None:
    compare_with_model(None, max_examples=100)


def test_the_store_on_a_server_does_what_the_model_does(valkey: Place) -> None:
    compare_with_model(valkey, max_examples=25)


def compare_with_model(place: Place | None, max_examples: int) -> None:
    class Machine(StoreMachine):
        def __init__(self) -> None:
            super().__init__(place)

    run_state_machine_as_test(Machine, settings=settings(max_examples=max_examples, deadline=None))
