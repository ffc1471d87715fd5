"""Streamed answers over HTTP."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing

from cluster.client.sse import ServerSentEvent
from loadtest.exchanges import bodies
from loadtest.exchanges.account import Account, Failure, Json
from loadtest.exchanges.wire import Wire

DONE = "[DONE]"
CHAT = "/chat/completions"
CANVAS: Json = {"diffusion": {"stream": "canvas"}}


def chat_stream(wire: Wire, account: Account) -> None:
    """The answer to a conversation as it is written."""
    _read(wire, account, bodies.chat(account.arrival, wire.place.models))


def canvas_stream(wire: Wire, account: Account) -> None:
    """The same, and the canvas while it is denoised."""
    _read(wire, account, bodies.chat(account.arrival, wire.place.models) | CANVAS)


def stored_stream(wire: Wire, account: Account) -> None:
    """A stream that outlives its client. Read once more it has to say the same."""
    id = _read(wire, account, bodies.chat(account.arrival, wire.place.models) | {"store_stream": True})
    again = Account(account.arrival, account.clock)
    for _ in chunks(again, wire.events(again, "GET", f"/requests/{id}/stream")):
        pass
    if (again.text, again.finish) != (account.text, account.finish):
        raise Failure("mismatch", f"stored are {len(again.text)} characters, and {len(account.text)} were told")


def _read(wire: Wire, account: Account, body: Json) -> str:
    """All of the stream; answers with the id of the request."""
    ids = {chunk["id"] for chunk in chunks(account, wire.events(account, "POST", CHAT, body))}
    if len(ids) != 1:
        raise Failure("malformed", f"one stream with {len(ids)} ids")
    return str(*ids)


def chunks(account: Account, events: Generator[ServerSentEvent]) -> Generator[Json]:
    """The chunks of a stream of completions, once the account has noted what they say.

    Raises :class:`Failure` for an error, and when the stream ends before the answer has, or without a finish reason.
    """
    with closing(events):
        for event in events:
            if event.data == DONE:
                break
            chunk: Json = json.loads(event.data)
            note(account, chunk)
            yield chunk
        else:
            raise Failure("cut_off", "the stream ended without [DONE]")
    if account.finish is None:
        raise Failure("no_finish_reason")
    account.ended = account.clock()


def note(account: Account, chunk: Json) -> None:
    """Take down what one chunk of a completion says. Raises :class:`Failure` for an error."""
    if "error" in chunk:
        raise Failure(chunk["error"]["code"], chunk["error"]["message"])
    if account.finish is not None and chunk["choices"]:
        raise Failure("malformed", "a chunk behind the finish reason")
    for choice in chunk["choices"]:
        account.commit(choice["delta"].get("content") or "")
        account.finish = choice["finish_reason"]
    if chunk.get("usage"):
        account.usage = chunk["usage"]
    if "diffusion" in chunk:
        account.views.show(chunk["diffusion"])
