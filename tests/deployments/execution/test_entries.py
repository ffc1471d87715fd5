from __future__ import annotations

import pytest

from deployments.errors import DeadlineExceeded, InternalError, RequestCancelled, ServingError
from deployments.execution.entries import (
    Cancelled,
    Committed,
    Completed,
    End,
    Failed,
    committed_tokens,
    decode_entry,
    encode_entry,
    outputs_of,
)
from deployments.gateway.assembler import Done
from deployments.gateway.writer import Delta
from dllm_worker.request import Usage

DONE = Done("stop", 3, 2, Usage(prompt_tokens=3, completion_tokens=2, position_forwards=7))
COMMITTED = Committed(0, (5, 6), (Delta("né", None), Delta("", 0)))


@pytest.mark.parametrize(
    "entry",
    [COMMITTED, Completed(DONE, (Delta("x", 1),)), Failed("overloaded", "busy", "model"), Cancelled()],
    ids=lambda entry: entry.kind,
)
def test_an_entry_survives_its_bytes(entry: Committed | End) -> None:
    assert decode_entry(encode_entry(entry)) == entry


def test_the_bytes_of_a_commit_are_settled() -> None:
    assert encode_entry(COMMITTED).decode() == (
        '{"start":0,"tokens":[5,6],"deltas":[{"text":"né","hole":null},{"text":"","hole":0}],"kind":"committed"}'
    )


def test_entries_tell_the_answer() -> None:
    assert outputs_of(COMMITTED) == COMMITTED.deltas
    assert outputs_of(Completed(DONE, (Delta("x", None),))) == (Delta("x", None), DONE)
    with pytest.raises(RequestCancelled):
        outputs_of(Cancelled())


def test_a_failure_is_told_again_as_what_it_was() -> None:
    error = Failed.of(DeadlineExceeded("too late", parameter="x-dllm-deadline-ms")).error()
    assert (type(error), str(error), error.parameter) == (DeadlineExceeded, "too late", "x-dllm-deadline-ms")


def test_a_failure_of_another_version_is_an_internal_error() -> None:
    error: ServingError = Failed("of_the_future", "something").error()
    assert type(error) is InternalError


def test_the_tokens_of_a_log_are_those_of_its_commits() -> None:
    log = [encode_entry(entry) for entry in (COMMITTED, Committed(2, (9,), ()), Completed(DONE))]
    assert committed_tokens(log) == [5, 6, 9]
