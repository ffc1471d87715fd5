"""Malformed requests over HTTP/1.1, as bytes: each drawn from a seeded generator, most of them close to a valid one."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployments.tenancy.keys import make_key

MODEL = "tiny-code"
VALID: Mapping[str, dict[str, Any]] = {
    "/v1/completions": {"model": MODEL, "prompt": "x = [", "max_tokens": 4, "seed": 1, "stop": ["\n"], "n": 1},
    "/v1/chat/completions": {
        "model": MODEL,
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [{"type": "text", "text": "a"}]},
        ],
        "max_tokens": 4,
        "metadata": {"a": "b"},
        "diffusion": {"max_steps": 2, "cache": {"kind": None}},
    },
    "/v1/infill": {"model": MODEL, "template": "a = {{hole}}\n", "hole_tokens": [2]},
    "/v1/responses": {"model": MODEL, "input": "hi", "max_output_tokens": 4, "reasoning": {"effort": "low"}},
}
GET = (
    "/v1/models",
    "/v1/models/tiny-code",
    "/v1/usage",
    "/v1/usage/entries",
    "/v1/requests/cmpl-1",
    "/v1/responses/resp-1",
)
LONG = 1 << 20

HEADERS = (
    *("last-event-id", "idempotency-key", "x-dllm-deadline-ms", "x-dllm-strict", "traceparent", "tracestate"),
    *("x-request-id", "x-client-request-id", "x-session-id", "serve_multiplexed_model_id", "expect", "range"),
    *("x-request-timeout-seconds", "x-request-disconnect-disabled", "accept", "cookie", "upgrade", "baggage"),
)
MEDIA_TYPES = (b"", b"text/plain", b"multipart/form-data; boundary=x", b"application/json; charset=utf-16")
ENCODINGS = (b"gzip", b"br", b"identity, gzip")
JUNK = (
    *(b"", b"\xff\xfe", b"-1", b"9" * 400, b"a" * 9000, b"00-0-0-00"),
    *(b"?1", b"true, true", b"\t", b"websocket", b"100-continue"),
)


@dataclass(frozen=True, slots=True)
class Attack:
    """What is sent on one connection. With ``leaves`` the client goes away without waiting for an answer."""

    kind: str
    data: bytes
    leaves: bool = False


def odd_value(draw: random.Random) -> Any:
    """A value of JSON that a field is unlikely to expect."""
    deep: Any = 0
    for _ in range(draw.choice((2, 40, 400))):
        deep = [deep] if draw.random() < 0.5 else {"a": deep}
    odd: tuple[Any, ...] = (
        *(None, True, False, -1, 0, 2**63, -(2**64), 10**400, 1e308, 0.1, "", "\0", "\ud800", "\u202e\r\n\0", [], {}),
        *("a" * draw.choice((1, 300, 30_000)), [0] * draw.choice((1, 1000)), {str(key): key for key in range(200)}),
        *(deep, [[]], [None], {"": ""}, {"\ud800": 1}, "<|mask|>", "{{hole}}" * draw.choice((1, 2000)), [{}] * 100),
    )
    return copy.deepcopy(draw.choice(odd))


def mutated(draw: random.Random, body: Any) -> Any:
    """``body`` with one to three of its values, names or parts changed, gone, or doubled."""
    body = copy.deepcopy(body)
    for _ in range(draw.randint(1, 3)):
        held, key = _place(draw, body)
        match draw.randrange(5) if isinstance(held, dict) else draw.choice((0, 1, 2)):
            case 0 | 1:
                held[key] = odd_value(draw)
            case 2:
                del held[key]
            case 3:
                held[str(odd_value(draw))[:1000]] = odd_value(draw)
            case _:
                held[key] = [held[key], odd_value(draw)]
        if not body:
            break
    return body


def _place(draw: random.Random, body: Any) -> tuple[Any, Any]:
    """A container in ``body``, and one of its keys."""
    places: list[tuple[Any, Any]] = []
    waiting = [body]
    while waiting and len(places) < 500:
        held = waiting.pop()
        for key in list(held) if isinstance(held, dict) else range(len(held)):
            places.append((held, key))
            if isinstance(held[key], dict | list) and held[key]:
                waiting.append(held[key])
    return draw.choice(places)


def spoiled(draw: random.Random, text: bytes) -> bytes:
    """JSON that is broken, or that only just is none."""
    match draw.randrange(9):
        case 0:
            return text[: draw.randrange(len(text))]
        case 1:
            at = draw.randrange(len(text))
            return text[:at] + draw.randbytes(draw.randint(1, 8)) + text[at + 1 :]
        case 2:
            return draw.choice((b"[", b'{"a":', b'{"messages":[')) * draw.choice((1000, 60_000))
        case 3:
            return text.replace(b"4", draw.choice((b"9" * 5000, b"NaN", b"-Infinity", b"1e999", b"0x4", b"04", b"1_0")))
        case 4:
            return text.replace(b'"model"', draw.choice((b'"model": 1, "model"', b'"m\xffodel"', b"'model'", b"model")))
        case 5:
            return text[:-1] + b"," + b",".join(b'"k%d":%d' % (key, key) for key in range(2000)) + b"}"
        case 6:
            return draw.choice(
                (b"", b"null", b"[]", b'"x"', b"0", b"\xef\xbb\xbf{}", b"\0" * 50, text.decode().encode("utf-16"))
            )
        case 7:
            return draw.randbytes(draw.randint(1, 2000))
        case _:
            return text + text


def request(method: str, path: str, key: str, body: bytes = b"", headers: Sequence[tuple[str, bytes]] = ()) -> bytes:
    """A request as a client would write it, before anything is wrong with it."""
    lines = [f"{method} {path} HTTP/1.1".encode("latin-1"), b"host: cluster"]
    given = {name.lower() for name, _ in headers}
    usual = {"authorization": f"Bearer {key}".encode(), "content-type": b"application/json"}
    usual |= {"content-length": str(len(body)).encode()} if body or method == "POST" else {}
    lines += [name.encode() + b": " + value for name, value in usual.items() if name not in given]
    lines += [name.encode("latin-1") + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class HttpAttacks:
    """Draws attacks of a tenant with ``key`` from ``draw``."""

    def __init__(self, draw: random.Random, key: str) -> None:
        self._draw, self._key = draw, key
        kinds: dict[Callable[[], Attack], int] = {
            self.mutation: 160,
            self.broken_json: 60,
            self.route: 40,
            self.header: 48,
            self.credential: 24,
            self.media_type: 16,
            self.wire: 51,
            self.large: 1,
        }
        self._kinds, self._weights = list(kinds), list(kinds.values())

    def draw(self) -> Attack:
        """The next one."""
        (kind,) = self._draw.choices(self._kinds, self._weights)
        return kind()

    def well_formed(self) -> Attack:
        """What the others are made from, before anything is wrong with it."""
        path, body = self._valid()
        return Attack("well-formed", request("POST", path, self._key, json.dumps(body).encode()))

    def mutation(self) -> Attack:
        """A valid body with values that are not."""
        path, body = self._valid()
        changed = mutated(self._draw, body)
        return Attack("mutated body", request("POST", path, self._key, json.dumps(changed).encode()))

    def broken_json(self) -> Attack:
        """A body that is no JSON, or an odd one."""
        path, body = self._valid()
        return Attack("broken JSON", request("POST", path, self._key, spoiled(self._draw, json.dumps(body).encode())))

    def route(self) -> Attack:
        """A method or a path that there is not, or ids and queries that mean nothing."""
        draw = self._draw
        method = draw.choice(("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "QUERY", "get"))
        odd = "".join(
            draw.choice(("%00", "%ff", "..", "/", "//", "%2e%2e", "%", "a", ";", "\xe9", "{", "*")) for _ in range(8)
        )
        path = draw.choice(
            (*VALID, *GET, "/", "*", "http://cluster/v1/models", "/v1/requests/", "/admin/v1/tenants", "/-/routes")
        )
        path += draw.choice(
            ("", odd, "/" + odd, "?" + odd, "?start=" + odd, "?starting_after=9e9", "/stream", "/cancel")
        )
        return Attack("route", request(method, path, self._key))

    def header(self) -> Attack:
        """Headers with values that they cannot have."""
        draw, (path, body) = self._draw, self._valid()
        headers = [(draw.choice(HEADERS), draw.choice(JUNK))] * draw.choice((1, 1, 2, 150))
        return Attack("header", request("POST", path, self._key, json.dumps(body).encode(), headers))

    def credential(self) -> Attack:
        """Keys that nobody has."""
        draw = self._draw
        unknown = (draw.randbytes(20).hex(), make_key("test", draw.randbytes))
        value = draw.choice((b"", b"Bearer", b"Basic YTpi", b"\xff", *(f"Bearer {key}".encode() for key in unknown)))
        return Attack("credential", request("GET", draw.choice(GET), self._key, headers=[("authorization", value)]))

    def media_type(self) -> Attack:
        """A body that says it is something else."""
        draw, (path, body) = self._draw, self._valid()
        said = [("content-type", draw.choice(MEDIA_TYPES)), ("content-encoding", draw.choice(ENCODINGS))]
        return Attack("media type", request("POST", path, self._key, json.dumps(body).encode(), [draw.choice(said)]))

    def large(self) -> Attack:
        """As much as is taken, and more."""
        draw, size = self._draw, self._draw.choice((LONG - 200, LONG + 1000))
        head = b'{"model": "tiny-code", "max_tokens": 1, '
        body = head + draw.choice(
            (b'"prompt": "' + b"a" * size + b'"}', b'"messages": [' + b"{}," * (size // 3) + b"{}]}")
        )
        return Attack("large", request("POST", draw.choice(list(VALID)), self._key, body))

    def wire(self) -> Attack:
        """What is no HTTP/1.1, or stops in its midst."""
        draw, (path, body) = self._draw, self._valid()
        good = request("POST", path, self._key, json.dumps(body).encode())
        if draw.random() < 0.4:
            return Attack("cut off", good[: draw.randrange(1, len(good))], leaves=True)
        chunks = [("transfer-encoding", b"chunked")]
        chunked = request("POST", path, self._key, headers=chunks).replace(b"content-length: 0\r\n", b"")
        twofold = request("POST", path, self._key, headers=[*chunks, ("content-length", b"5")])
        version = draw.choice((b"HTTP/0.9", b"HTTP/1.0", b"HTTP/9.9", b"HTCPCP/1.0"))
        whole = (
            *(draw.randbytes(draw.randint(1, 400)) + b"\r\n\r\n", b"\r\n" * 50 + good),
            *(b"\x16\x03\x01\x02\x00\x01\xfc", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            *(good.replace(b"HTTP/1.1", version), good.replace(b"host: cluster", b"host: a\0b")),
            *(chunked + b"zz\r\n", chunked + b"fffffffffffffffff\r\n", twofold + b"0\r\n\r\n"),
            good.replace(b"content-length: ", b"content-length: -"),
            good.replace(b"content-type: ", b"content-type : "),
        )
        return Attack("wire", draw.choice(whole))

    def _valid(self) -> tuple[str, dict[str, Any]]:
        return self._draw.choice(list(VALID.items()))
