from __future__ import annotations

from dataclasses import replace

import pytest

from deployments.state.record import SCHEMA_VERSION, TERMINAL, decode, encode, fields_of
from deployments.state.store import Change, RequestKey, StateError
from tests.deployments.state.records import fresh_record


def test_a_record_survives_its_stored_form() -> None:
    record = replace(fresh_record(), usage={"position_forwards": 96}, durable=True, epoch=3, lease_until=20.25)
    assert decode(encode(record)) == record


def test_its_stored_form_is_json_in_each_field() -> None:
    record = replace(fresh_record(), id="req_1", status="running", lease_until=20.25)
    assert encode(record) == {
        "id": '"req_1"',
        "tenant": '"acme"',
        "model": '"tiny-code"',
        "endpoint": '"/v1/completions"',
        "parameters": '{"diffusion":{"max_steps":null},"max_tokens":8,"stop":["\\n"]}',
        "created_at": "10.25",
        "updated_at": "10.25",
        "durable": "false",
        "owner": '"one"',
        "epoch": "1",
        "lease_until": "20.25",
        "entries": "0",
        "log_bytes": "0",
        "status": '"running"',
        "finish_reason": "null",
        "usage": "null",
        "error_code": "null",
        "schema_version": "2",
    }


@pytest.mark.parametrize("version", ["1", "3", "null"])
def test_a_record_of_another_schema_version_is_refused(version: str) -> None:
    with pytest.raises(StateError, match=f"this program reads {SCHEMA_VERSION}"):
        decode({**encode(fresh_record()), "schema_version": version})


def test_a_record_knows_its_key_and_whether_its_request_has_ended() -> None:
    record = fresh_record()
    assert record.key == RequestKey("acme", record.id)
    assert not record.has_ended
    assert all(replace(record, status=status).has_ended for status in TERMINAL)


def test_a_change_sets_what_it_names_and_the_time_of_a_new_status() -> None:
    assert fields_of(Change(now=5.0, entries=(b"a",), checkpoint=b"b")) == {}
    assert fields_of(Change(now=5.0, lease_until=9.0)) == {"lease_until": 9.0}
    assert fields_of(Change(now=5.0, lease_until=9.0, status="running")) == {
        "status": "running",
        "updated_at": 5.0,
        "lease_until": 9.0,
    }
    assert fields_of(Change(now=5.0, status="failed", error_code="x", usage={}))["lease_until"] == 0.0
