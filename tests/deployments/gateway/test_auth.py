from __future__ import annotations

from hashlib import sha256

import pytest

from deployments.errors import InvalidApiKey
from deployments.gateway.auth import KeyRing

RING = KeyRing({"first": "acme", "second": "acme", "third": "bravo"})


@pytest.mark.parametrize(
    ("header", "tenant"),
    [("Bearer first", "acme"), ("bearer second", "acme"), ("Bearer  third ", "bravo")],
)
def test_a_key_names_its_tenant(header: str, tenant: str) -> None:
    assert RING.holder(header).tenant == tenant


def test_each_key_has_a_salt_of_its_own_that_tells_nothing_of_it() -> None:
    salts = [RING.holder(f"Bearer {key}").cache_salt for key in ("first", "second", "third")]
    assert len(set(salts)) == 3
    assert salts[0] == KeyRing({"first": "other"}).holder("Bearer first").cache_salt
    assert all(len(salt) == 64 and salt != sha256(b"first").hexdigest() for salt in salts)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer firs", "Basic first", "first", "Bearer é"])
def test_other_headers_name_nobody(header: str | None) -> None:
    with pytest.raises(InvalidApiKey):
        RING.holder(header)


def test_without_keys_there_is_no_way_in() -> None:
    with pytest.raises(InvalidApiKey):
        KeyRing({}).holder("Bearer ")
