"""Bodies in protobuf, byte by byte as a client in Go writes them."""

from __future__ import annotations

import urllib3

from tests.cluster.kubernetes.api_server.plant import CONFIG_MAPS, WIDGET_DEFINITION, WIDGETS, refusal
from tests.cluster.kubernetes.api_server.protobuf import MAGIC, MEDIA_TYPE, decoded
from tests.cluster.kubernetes.api_server.server import ApiServer


def field(number: int, value: bytes | int) -> bytes:
    """One field on the wire, of values below 128 bytes."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2, len(value)]) + value


def enveloped(kind: bytes, raw: bytes, api_version: bytes = b"v1") -> bytes:
    type_meta = field(1, api_version) + field(2, kind)
    return MAGIC + field(1, type_meta) + field(2, raw) + field(3, b"") + field(4, b"")


SECRET = enveloped(
    b"Secret",
    field(1, field(1, b"s") + field(3, b"default") + field(8, b"") + field(11, field(1, b"owner") + field(2, b"helm")))
    + field(2, field(1, b"release") + field(2, b"\x00\xff"))
    + field(3, b"helm.sh/release.v1")
    + field(5, 1),
)


def test_a_secret_is_read_as_its_json_would_be() -> None:
    assert decoded(SECRET) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "default", "labels": {"owner": "helm"}},
        "data": {"release": "AP8="},
        "type": "helm.sh/release.v1",
        "immutable": True,
    }


def test_numbers_of_several_bytes_and_lists_are_read() -> None:
    options = bytes([1 << 3, 0xAC, 0x02]) + field(5, b"All") + field(2, field(1, b"uid"))
    assert decoded(enveloped(b"DeleteOptions", options)) == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 300,
        "dryRun": ["All"],
        "preconditions": {"uid": "uid"},
    }


def post(server: ApiServer, path: str, body: bytes) -> urllib3.BaseHTTPResponse:
    headers = {"Content-Type": MEDIA_TYPE}
    return urllib3.request("POST", server.url + path, body=body, headers=headers, retries=False)


def test_an_object_is_made_from_it_and_answered_in_json(server: ApiServer) -> None:
    raw = field(1, field(1, b"c")) + field(2, field(1, b"a") + field(2, b"1"))
    made = post(server, CONFIG_MAPS, enveloped(b"ConfigMap", raw))
    assert (made.status, made.json()["data"]) == (201, {"a": "1"})
    assert server.read("ConfigMap", "c")["metadata"]["uid"] == made.json()["metadata"]["uid"]


def test_what_cannot_be_read_is_refused(server: ApiServer) -> None:
    server.define(WIDGET_DEFINITION)
    cut_off = MAGIC + field(1, field(2, b"ConfigMap")) + field(2, b"raw")[:-1]
    for body in (b"{}", enveloped(b"Pod", b""), enveloped(b"ConfigMap", field(9, b"")), cut_off, cut_off[:-3]):
        assert refusal(post(server, CONFIG_MAPS, body))[:2] == (400, "BadRequest")
    assert refusal(post(server, WIDGETS, SECRET))[:2] == (415, "UnsupportedMediaType")
