from __future__ import annotations

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RequestInfo, RetryInfo
from google.rpc.status_pb2 import Status

from deployments.errors import DeadlineExceeded, InvalidRequest, Overloaded, ReplicasLost, ServingError
from deployments.gateway.grpc.status import LONGEST_TEXT, status_of
from tests.deployments.test_errors import every_error


def details(status: Status) -> dict[type[Message], Message]:
    found: dict[type[Message], Message] = {}
    for packed in status.details:
        for kind in (BadRequest, ErrorInfo, QuotaFailure, RequestInfo, RetryInfo):
            message = kind()
            if packed.Unpack(message):
                found[kind] = message
    assert len(found) == len(status.details)
    return found


@pytest.mark.parametrize("kind", list(every_error()))
def test_a_status_says_what_the_error_is(kind: type[ServingError]) -> None:
    error = kind("why", parameter="which", retry_after=2.0)
    status = status_of(error, "req_1", 0.5)
    assert (grpc.StatusCode[kind.grpc_status].value[0], "why") == (status.code, status.message)
    told = details(status)
    info, bad, retry, request = (told[kind] for kind in (ErrorInfo, BadRequest, RetryInfo, RequestInfo))
    assert isinstance(info, ErrorInfo)
    assert isinstance(bad, BadRequest)
    assert isinstance(retry, RetryInfo)
    assert isinstance(request, RequestInfo)
    assert (info.domain, info.reason) == ("dllm", kind.code)
    assert [violation.field for violation in bad.field_violations] == ["which"]
    assert retry.retry_delay.ToMilliseconds() == int(error.headers(0.5)["retry-after-ms"])
    assert request.request_id == "req_1"
    assert (QuotaFailure in told) == (kind.status in (402, 429))


def test_what_does_not_apply_is_left_out() -> None:
    assert set(details(status_of(ReplicasLost(), "req_1", 0.0))) == {ErrorInfo, RequestInfo}
    assert BadRequest not in details(status_of(Overloaded(), "req_1", 0.0))
    assert RetryInfo not in details(status_of(InvalidRequest(parameter="n"), "req_1", 0.0))


def test_numbers_beside_the_error_are_told_as_text() -> None:
    told = details(status_of(DeadlineExceeded(details={"predicted_wait_ms": 7, "limits": {"a": 1}}), "r", 0.0))
    info = told[ErrorInfo]
    assert isinstance(info, ErrorInfo)
    assert dict(info.metadata) == {"predicted_wait_ms": "7", "should_retry": "false"}


def test_a_long_text_does_not_break_the_trailers() -> None:
    status = status_of(InvalidRequest("x" * 10**5, parameter="n"), "r", 0.0)
    assert status.message == "x" * LONGEST_TEXT
    assert status.ByteSize() < 4096
