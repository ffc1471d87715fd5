"""Clients that do not wait for the end, or take their time."""

from __future__ import annotations

from time import sleep

from loadtest.exchanges import bodies
from loadtest.exchanges.account import Account, Failure, Json
from loadtest.exchanges.streams import CANVAS, CHAT, chunks
from loadtest.exchanges.wire import Wire

LONG_ANSWER = {"max_tokens": 256, "temperature": 1.5}
"""So long that it is under way when its client leaves."""

REST_SECONDS = 10.0
POLL_SECONDS = 0.2
READ_PAUSE_SECONDS = 0.1


def cancelling(wire: Wire, account: Account) -> None:
    """Leaves at the first text: every other client says so, the rest hang up. The request has to end soon after."""
    body = bodies.chat(account.arrival, wire.place.models) | LONG_ANSWER
    id = ""
    stream = chunks(account, wire.events(account, "POST", CHAT, body))
    for chunk in stream:
        id = chunk["id"]
        if account.commits:
            break
    if account.arrival.number % 2:
        wire.whole(account, "POST", f"/requests/{id}/cancel")
    stream.close()
    deadline = account.clock() + REST_SECONDS
    while (status := _status(wire, account, id)) in ("queued", "running"):
        if account.clock() > deadline:
            raise Failure("not_cancelled", f"{status} {REST_SECONDS:g} s after its client left")
        sleep(POLL_SECONDS)
    if status not in ("cancelled", "completed"):
        raise Failure("not_cancelled", f"a request that its client left is {status}")


def _status(wire: Wire, account: Account, id: str) -> str:
    record: Json = wire.whole(account, "GET", f"/requests/{id}")
    status: str = record["status"]
    return status


def slow_reader(wire: Wire, account: Account) -> None:
    """Watches the canvas and waits after each frame. It may miss views, and nothing else."""
    body = bodies.chat(account.arrival, wire.place.models) | CANVAS
    numbers: list[str] = []
    for chunk in chunks(account, wire.events(account, "POST", CHAT, body)):
        numbers.append(chunk["id"])
        sleep(READ_PAUSE_SECONDS)
    if len(set(numbers)) != 1:
        raise Failure("malformed", f"one stream with {len(set(numbers))} ids")
