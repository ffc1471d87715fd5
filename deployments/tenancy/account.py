"""What one answer owes its tenant, from its reservation to its ledger entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from deployments.tenancy.ledger.records import TENANCY, entry_of
from deployments.tenancy.limits.limiter import Charge, Levels, Limiter
from deployments.tenancy.queue.queue import FairQueue, Waiting

if TYPE_CHECKING:
    from deployments.state.record import RequestRecord
    from deployments.tenancy.ledger.biller import Biller
    from deployments.tenancy.tenant import Band, Tenant


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which terms an answer was accepted, as its record keeps them.

    ``reservation`` is the id of the request's first answer; only the ``first`` one has the prompt on its bill. ``work``
    is the most that it can cost in work units, ``tokens`` likewise. ``queue`` is the one that it waits in.
    """

    reservation: str
    queue: str
    key: str
    band: Band
    weight: float
    work_weight: float
    work: int
    tokens: int
    cap: int | None = None
    first: bool = True

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of(record: RequestRecord) -> Terms:
        """Those of an accepted request."""
        return Terms(**record.parameters[TENANCY])


def spent_of(record: RequestRecord) -> Charge:
    """What an ended answer costs its tenant's limits: never more than was reserved, though a failover repeats work."""
    entry = entry_of(record)
    return Charge(tokens=entry.prompt_tokens + entry.completion_tokens, work=min(entry.work, Terms.of(record).work))


class Reservation:
    """What is reserved for all answers to one request; it is settled when the last of them has ended."""

    def __init__(self, limiter: Limiter, tenant: str, id: str, answers: int = 1) -> None:
        self._limiter, self.tenant, self.id = limiter, tenant, id
        self._open, self._spent = answers, Charge(requests=1)

    async def spend(self, charge: Charge) -> None:
        """An answer has ended that cost ``charge``."""
        self._spent += charge
        self._open -= 1
        if self._open == 0:
            await self._limiter.settle(self.tenant, self.id, self._spent)

    async def give_back(self) -> None:
        """The request is not run: it costs nothing."""
        await self._limiter.settle(self.tenant, self.id, Charge())


class Account:
    """The account of one answer. Closing it repeatedly changes nothing."""

    def __init__(
        self, waiting: Waiting, queue: FairQueue, reservation: Reservation, biller: Biller, *, had_turn: bool = False
    ) -> None:
        self._waiting, self._queue, self.reservation, self._biller = waiting, queue, reservation, biller
        self._had_turn = had_turn
        self._closed = False

    async def turn(self) -> None:
        """Wait for the answer's turn; one that has had it elsewhere goes on. Raises as :meth:`FairQueue.turn`."""
        if self._had_turn:
            await self._queue.resume(self._waiting)
        else:
            await self._queue.turn(self._waiting)
        self._had_turn = True

    async def close(self, record: RequestRecord) -> None:
        """The answer has ended as its ``record`` says."""
        if self._closed:
            return
        self._closed = True
        spent = spent_of(record)
        if self._had_turn:
            await self._queue.end(self._waiting, spent.work)
        await self.reservation.spend(spent)
        await self._biller.bill(record)


class Accounts:
    """Opens accounts: of new requests, and of those that another gateway has left."""

    def __init__(self, limiter: Limiter, queues: Mapping[str, FairQueue], biller: Biller) -> None:
        self._limiter, self._queues, self._biller = limiter, queues, biller

    async def reserve(self, tenant: Tenant, records: Sequence[RequestRecord]) -> tuple[tuple[Account, ...], Levels]:
        """Reserve the most that the answers to one request can cost. Raises as :meth:`Limiter.reserve`, and
        :class:`deployments.errors.QueueFull` for one that would not even be let into the queue.
        """
        terms = [Terms.of(record) for record in records]
        for record, each in zip(records, terms, strict=True):
            self._queues[each.queue].check(_waiting(record))
        first, tokens, work = terms[0].reservation, sum(each.tokens for each in terms), sum(each.work for each in terms)
        levels = await self._limiter.reserve(tenant, first, Charge(1, tokens, work), concurrency=len(records))
        reservation = Reservation(self._limiter, tenant.name, first, len(records))
        accounts = (self._account(record, reservation, each.queue) for record, each in zip(records, terms, strict=True))
        return tuple(accounts), levels

    def resumed(self, record: RequestRecord, queue: str) -> Account:
        """The account of a request that another gateway began, and that goes on in ``queue``."""
        reservation = Reservation(self._limiter, record.tenant, Terms.of(record).reservation)
        return self._account(record, reservation, queue, had_turn=record.status != "queued")

    async def close(self, record: RequestRecord) -> None:
        """Close the account of a request that has ended and that nobody runs. Repeating it changes nothing.

        Its place is not known of here: it comes back when its gateway does not renew it.
        """
        if TENANCY in record.parameters:
            await Reservation(self._limiter, record.tenant, Terms.of(record).reservation).spend(spent_of(record))
        await self._biller.bill(record)

    async def renew(self, accounts: Sequence[Account]) -> None:
        """The requests behind these accounts still run."""
        held = {(account.reservation.tenant, account.reservation.id): None for account in accounts}
        await self._limiter.renew(list(held))

    async def serve(self) -> None:
        """Write what could not be written at once, until cancelled."""
        await self._biller.serve()

    async def end(self) -> None:
        """Write what is left, within a bound."""
        await self._biller.close()

    def _account(
        self, record: RequestRecord, reservation: Reservation, queue: str, *, had_turn: bool = False
    ) -> Account:
        return Account(_waiting(record), self._queues[queue], reservation, self._biller, had_turn=had_turn)


def later(terms: Terms) -> Terms:
    """The terms of a further answer to the same request, whose prompt is on the first one's bill."""
    return replace(terms, first=False)


def _waiting(record: RequestRecord) -> Waiting:
    """The request as the queue knows it."""
    terms, deadline = Terms.of(record), record.parameters["deadline"]
    return Waiting(record.id, record.tenant, terms.work, terms.weight, terms.band, terms.cap, deadline)
