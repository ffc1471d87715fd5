from __future__ import annotations

from dataclasses import replace

import pytest

from deployments.state.record import SCHEMA_VERSION, decode, encode, pack_tokens, unpack_tokens
from deployments.state.store import StateError
from tests.deployments.state.records import fresh_record


def test_a_record_survives_its_stored_form() -> None:
    record = replace(fresh_record(), committed_tokens=(1, 2, 3), usage={"position_forwards": 96})
    assert decode(encode(record), unpack_tokens(pack_tokens(record.committed_tokens))) == record


@pytest.mark.parametrize("version", ["2", "0", "null"])
def test_a_record_of_another_schema_version_is_refused(version: str) -> None:
    with pytest.raises(StateError, match=f"this program reads {SCHEMA_VERSION}"):
        decode({**encode(fresh_record()), "schema_version": version}, ())
