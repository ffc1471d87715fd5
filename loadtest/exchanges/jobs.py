"""Jobs in the background, whose client comes and goes."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing
from time import sleep

from cluster.client.sse import ServerSentEvent
from loadtest.exchanges import bodies
from loadtest.exchanges.account import Account, Failure, Json
from loadtest.exchanges.wire import Wire

UNDER_WAY = ("queued", "in_progress")
POLL_SECONDS = 0.5
LEAVES_AFTER = 4
"""Events of a stream that a client takes before it is cut off."""


def job(wire: Wire, account: Account) -> None:
    """A response in the background. Every other client polls, the rest read its stream and are cut off once; both have
    to be told the text that is stored.
    """
    begun = wire.whole(account, "POST", "/responses", bodies.response(account.arrival, wire.place.models))
    path = f"/responses/{begun['id']}"
    if account.arrival.number % 2:
        _resume(wire, account, path)
    final = wire.whole(account, "GET", path)
    while final["status"] in UNDER_WAY:
        sleep(POLL_SECONDS)
        final = wire.whole(account, "GET", path)
    if final["status"] not in ("completed", "incomplete"):
        error: Json = final["error"] or {"code": final["status"]}
        raise Failure(str(error["code"]))
    account.usage, account.finish = final["usage"], final["status"]
    stored = "".join(part["text"] for item in final["output"] for part in item["content"])
    if account.arrival.number % 2 and account.text != stored:
        raise Failure("mismatch", f"stored are {len(stored)} characters, and {len(account.text)} were told")


def _resume(wire: Wire, account: Account, path: str) -> None:
    """The whole stream in two connections."""
    last = _take(account, wire.events(account, "GET", f"{path}?stream=true"), LEAVES_AFTER)
    if last is not None:
        rest = wire.events(account, "GET", f"{path}?stream=true&starting_after={last}")
        if _take(account, rest, None) is not None:
            raise Failure("cut_off", "the stream of a response ended before the response")


def _take(account: Account, events: Generator[ServerSentEvent], most: int | None) -> int | None:
    """Note up to ``most`` events, and answer with the number of the last one; ``None`` if that was the end."""
    last = 0
    with closing(events):
        for taken, event in enumerate(events, 1):
            data: Json = json.loads(event.data)
            last = data["sequence_number"]
            if data["type"] == "response.output_text.delta":
                account.commit(data["delta"])
            if data["type"] in ("response.completed", "response.incomplete", "response.failed"):
                account.ended = account.clock()
                return None
            if taken == most:
                break
    return last
