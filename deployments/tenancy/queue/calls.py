"""The calls of one gateway to the shared queue of one model."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deployments.state.client import BLOCK_SECONDS, Argument, Clients
from deployments.state.script import Script
from deployments.tenancy.queue import scripts
from deployments.tenancy.queue.fair_queue import RANKS, charge_of, cost_of, due, lane_of
from deployments.tenancy.queue.fairness import Backlog, Snapshot
from deployments.tenancy.queue.queue import Waiting

LEASES_PER_TTL = 8
LEAST_TTL_SECONDS = 600
NEWS_AT_ONCE = 512

_PARTS = (
    *("requests", "waiting", "leases", "deadlines", "counts"),
    *("counters:usual", "counters:flex", "services:usual", "services:flex", "idle:usual", "idle:flex", "owners"),
)


def queue_keys(model: str) -> tuple[str, ...]:
    """The names of what is kept of the queue of ``model``, all in one slot of a cluster."""
    return tuple(_name(model, part) for part in _PARTS)


@dataclass(frozen=True, slots=True)
class Moment:
    """When a call is made, in Unix seconds, and how many places the model has then."""

    now: float
    places: int


@dataclass(frozen=True, slots=True)
class News:
    """What has become of this gateway's requests: they have turns, or are too late.

    ``word`` is what has become of the request that the call was for; there is ``more`` to do when a script has done as
    much as it may.
    """

    word: str = ""
    turns: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class Renewal:
    """``memory`` differs from the last one's when the store has forgotten all; ``states`` are what the ids are."""

    news: News
    gateways: int
    states: tuple[str, ...]

    @property
    def memory(self) -> str:
        return self.news.word


class QueueCalls:
    """Each call is one script, and may be repeated. Raises :class:`deployments.state.store.StateUnavailable`."""

    def __init__(self, clients: Clients, model: str, owner: str, lease_seconds: float) -> None:
        self._clients, self._owner, self._lease = clients, owner, lease_seconds
        self._keys, self._streams = queue_keys(model), _name(model, "turns:")
        self._ttl = max(LEAST_TTL_SECONDS, round(LEASES_PER_TTL * lease_seconds))
        self._heard = "0-0"

    async def enter(self, request: Waiting, at: Moment) -> News:
        """Have ``request`` wait, or give it its turn at once. The word is ``turn``, ``wait``, ``late`` or ``full``."""
        order = f"{RANKS[request.band]}{struct.pack('>d', due(request, at.now)).hex()}"
        deadline = "" if request.deadline is None else repr(request.deadline)
        cap = "" if request.cap is None else request.cap
        return _news(await self._run(scripts.ENTER, at, *_described(request), order, deadline, cap))

    async def resume(self, request: Waiting, at: Moment) -> News:
        """Count ``request`` as under way here."""
        return _news(await self._run(scripts.RESUME, at, *_described(request)))

    async def end(self, request: Waiting, spent: int, at: Moment) -> News:
        """``request`` is over, whichever gateway it was at."""
        return _news(await self._run(scripts.END, at, request.id, repr(cost_of(request, spent)), ""))

    async def leave(self, request: Waiting, at: Moment) -> News:
        """This gateway does not want a turn for ``request`` any more."""
        return _news(await self._run(scripts.END, at, request.id, "0", self._owner))

    async def renew(self, ids: Sequence[str], at: Moment) -> Renewal:
        """These are still wanted; gives turns as well."""
        *news, gateways, states = await self._run(scripts.RENEW, at, *ids)
        return Renewal(_news(news), gateways, _words(states))

    async def state(self) -> Snapshot:
        """What the queue holds."""
        running, waiting, idle, *lanes = await self._clients.state.run(scripts.STATE, self._keys, *RANKS)
        usual, flex = (_backlog(*lane) for lane in lanes)
        depth = {band: int(count) for band, count in zip(RANKS, waiting, strict=True)}
        return Snapshot(depth, int(running), {**_scores(idle), **usual.counters}, (usual, flex))

    async def hear(self) -> News:
        """What other gateways have brought about for this one, as soon as there is something; nothing in time."""
        arguments = ("COUNT", NEWS_AT_ONCE, "BLOCK", round(BLOCK_SECONDS * 1000), "STREAMS", self._stream, self._heard)
        found = await self._clients.followers.wait("XREAD", *arguments)
        if not found:
            return News()
        entries = found[0][1]
        self._heard = entries[-1][0].decode()
        told = [(word, id.decode()) for _, fields in entries for word, id in fields.items()]
        turns = tuple(id for word, id in told if word == scripts.TURN.encode())
        return News(turns=turns, late=tuple(id for word, id in told if word == scripts.LATE.encode()))

    async def forget_news(self) -> None:
        """What has not been heard is not worth hearing any more."""
        await self._clients.state.call("DEL", self._stream)
        self._heard = "0-0"

    @property
    def _stream(self) -> str:
        return self._streams + self._owner

    def _head(self, at: Moment) -> tuple[Argument, ...]:
        lease = repr(at.now + self._lease)
        return self._ttl, repr(at.now), at.places, self._streams, lease, self._owner, f"{self._owner} {at.now!r}"

    async def _run(self, script: Script, at: Moment, *arguments: Argument) -> Any:
        return await self._clients.state.run(script, self._keys, *self._head(at), *arguments)


def _name(model: str, part: str) -> str:
    return f"dllm:{{queue:{model}}}:{part}"


def _described(request: Waiting) -> tuple[Argument, ...]:
    return request.id, request.tenant, repr(charge_of(request)), lane_of(request), request.band


def _news(answer: Sequence[Any]) -> News:
    word, turns, late, more = answer
    return News(word.decode(), _words(turns), _words(late), bool(more))


def _words(answer: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(word.decode() for word in answer)


def _scores(pairs: Sequence[bytes]) -> dict[str, float]:
    return {name.decode(): float(score) for name, score in zip(pairs[::2], pairs[1::2], strict=True)}


def _backlog(counters: Sequence[bytes], services: Sequence[bytes], since: Sequence[bytes]) -> Backlog:
    begun = {name.decode(): float(at) for name, at in zip(services[::2], since, strict=True)}
    return Backlog(_scores(counters), _scores(services), begun)
