"""How the answer to a request is told: by its record alone, so that any gateway tells it alike at any time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from deployments.gateway.assembler import Output
from deployments.gateway.bands import TIERS
from deployments.gateway.choices import choices_of
from deployments.gateway.openai import ChatDialect, CompletionDialect, Dialect, InfillDialect, Json, joined
from deployments.gateway.responses.events import EventWriter
from deployments.gateway.responses.response import ENDPOINT as RESPONSES
from deployments.gateway.responses.response import ResponseShape
from deployments.gateway.stream import ChunkWriter, StreamWriter

if TYPE_CHECKING:
    from deployments.state.record import RequestRecord

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
INFILL = "/v1/infill"


def writer_of(record: RequestRecord, after: int | None = None) -> StreamWriter:
    """Writes the answer as a stream, from the frame behind number ``after`` on."""
    if record.endpoint == RESPONSES:
        return EventWriter(ResponseShape.of(record), after)
    include_usage, choices = record.parameters["include_usage"], record.parameters["choices"]
    return ChunkWriter(_dialect_of(record), include_usage=include_usage, after=after, choices=choices)


def promise_of(record: RequestRecord) -> Json | None:
    """What is answered at once instead of the answer: of a background request that is not streamed."""
    if record.endpoint != RESPONSES or record.parameters["stream"]:
        return None
    shape = ResponseShape.of(record)
    return shape.pending("queued") if shape.is_background else None


def whole_of(record: RequestRecord, outputs: Sequence[Output]) -> Json:
    """The answer in one piece, of as many choices as ``outputs``, which are all of it, make up."""
    choices = choices_of(outputs)
    if record.endpoint == RESPONSES:
        return ResponseShape.of(record).ended(joined(choices[0].deltas), choices[0].done)
    return _dialect_of(record).whole(choices)


def _dialect_of(record: RequestRecord) -> Dialect:
    parameters = record.parameters
    created, revision, tier = int(record.created_at), parameters["revision"], TIERS[parameters["tenancy"]["band"]]
    if record.endpoint == INFILL:
        return InfillDialect(record.id, created, record.model, revision, tier, parameters["holes"])
    kind = ChatDialect if record.endpoint == CHAT else CompletionDialect
    return kind(record.id, created, record.model, revision, tier)
