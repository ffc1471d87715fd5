from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from deployments.errors import InvalidRequest
from deployments.gateway.deadline import HEADER
from deployments.gateway.grpc.call import REMAINING
from deployments.gateway.grpc.envelope import Envelope


@dataclass(frozen=True, slots=True)
class Sent:
    """A call with that metadata."""

    metadata: Sequence[tuple[str, str | bytes]] = ()
    host: str = "ipv4:127.0.0.1:4711"

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        return self.metadata

    def peer(self) -> str:
        return self.host


def envelope(*metadata: tuple[str, str | bytes]) -> Envelope:
    return Envelope.of(Sent(metadata))


@pytest.mark.parametrize(
    ("peer", "address"),
    [("ipv4:127.0.0.1:4711", "127.0.0.1"), ("ipv6:%5B::1%5D:4711", "::1"), ("ipv6:[::1]:4711", "::1"), ("unix:", "")],
)
def test_the_address_is_the_host_of_the_connection(peer: str, address: str) -> None:
    assert Envelope.of(Sent(host=peer)).address == address


def test_metadata_of_one_name_is_joined_and_binary_metadata_is_no_header() -> None:
    headers = envelope(("a", "1"), ("b-bin", b"\x00"), ("a", "2")).headers
    assert headers == {"a": "1, 2"}


def test_without_a_deadline_there_is_no_budget() -> None:
    assert HEADER not in envelope().terms()
    assert envelope((HEADER, "100")).terms()[HEADER] == "100"


def test_the_time_of_the_call_is_the_budget_less_the_way_back() -> None:
    assert envelope((REMAINING, "1000")).terms()[HEADER] == "950"
    assert envelope((REMAINING, "0")).terms()[HEADER] == "1"


def test_the_earlier_deadline_holds() -> None:
    assert envelope((REMAINING, "1000"), (HEADER, "100")).terms()[HEADER] == "100"
    assert envelope((REMAINING, "1000"), (HEADER, "5000")).terms()[HEADER] == "950"


def test_a_budget_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="whole number of milliseconds"):
        envelope((REMAINING, "1000"), (HEADER, "soon")).terms()
