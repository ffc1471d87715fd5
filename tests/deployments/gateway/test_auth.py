from __future__ import annotations

import pytest

from deployments.errors import InvalidApiKey
from deployments.gateway.auth import KeyRing

RING = KeyRing({"first": "acme", "second": "acme", "third": "bravo"})


@pytest.mark.parametrize(
    ("header", "tenant"),
    [("Bearer first", "acme"), ("bearer second", "acme"), ("Bearer  third ", "bravo")],
)
def test_a_key_names_its_tenant(header: str, tenant: str) -> None:
    assert RING.tenant(header) == tenant


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer firs", "Basic first", "first", "Bearer é"])
def test_other_headers_name_nobody(header: str | None) -> None:
    with pytest.raises(InvalidApiKey):
        RING.tenant(header)


def test_without_keys_there_is_no_way_in() -> None:
    with pytest.raises(InvalidApiKey):
        KeyRing({}).tenant("Bearer ")
