"""From the outputs of an answer to the messages that tell it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import ParseDict
from google.protobuf.timestamp_pb2 import Timestamp

from deployments.gateway.assembler import Done, Output
from deployments.gateway.bands import TIERS
from deployments.gateway.canvas import CanvasFrame
from deployments.gateway.choices import choices_of
from deployments.gateway.grpc.bodies import number_of
from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2 as pb
from deployments.gateway.logprobs import chances_of
from deployments.gateway.openai import joined
from deployments.gateway.telling import INFILL
from deployments.gateway.usage import total, usage_json
from deployments.gateway.writer import Delta, TokenChance

if TYPE_CHECKING:
    from deployments.state.record import RequestRecord


def generated(record: RequestRecord, outputs: Sequence[Output]) -> pb.GenerateResponse:
    """The whole of an answer that is text."""
    choices = choices_of(outputs)
    told = [
        pb.Choice(
            index=choice.index,
            text=joined(choice.deltas),
            finish_reason=_reason(choice.done),
            logprobs=_logprobs(chances_of(choice.deltas)),
        )
        for choice in choices
    ]
    return pb.GenerateResponse(**_head(record), choices=told, usage=_usage([choice.done for choice in choices]))


def infilled(record: RequestRecord, outputs: Sequence[Output]) -> pb.InfillResponse:
    """The whole of a template that is filled."""
    (only,) = choices_of(outputs)
    holes = range(record.parameters["holes"])
    return pb.InfillResponse(
        **_head(record),
        text=joined(only.deltas),
        holes=[joined([delta for delta in only.deltas if delta.hole == hole]) for hole in holes],
        finish_reason=_reason(only.done),
        usage=_usage([only.done]),
    )


class Events:
    """Tells an answer as events, numbered from 1 on; those up to ``after`` are left out.

    The numbers depend on the answer alone, so a reader who was cut off can ask for what follows the last one that it
    has. A view of the canvas has none of its own.
    """

    def __init__(self, record: RequestRecord, after: int = 0) -> None:
        self._record, self._after = record, after
        self._sequence = 0
        self._awaited = record.parameters.get("choices", 1)
        self._ends: list[Done] = []

    def tell(self, outputs: Sequence[Output]) -> Iterator[pb.Event]:
        """The events of ``outputs``, behind the header if they are the first."""
        for event in self._events(outputs):
            if event.sequence > self._after or event.HasField("canvas"):
                yield event

    def _events(self, outputs: Sequence[Output]) -> Iterator[pb.Event]:
        if not self._sequence:
            yield self._numbered(header=pb.Header(**_head(self._record)))
        for output in outputs:
            match output:
                case Delta():
                    yield self._numbered(committed=self._committed(output))
                case CanvasFrame():
                    yield pb.Event(sequence=self._sequence, canvas=_canvas(output))
                case Done():
                    yield from self._end(output)

    def _end(self, done: Done) -> Iterator[pb.Event]:
        self._ends.append(done)
        yield self._numbered(finished=pb.Finished(choice=done.choice, finish_reason=_reason(done)))
        if len(self._ends) == self._awaited:
            yield self._numbered(usage=_usage(sorted(self._ends, key=lambda end: end.choice)))

    def _committed(self, delta: Delta) -> pb.Committed:
        hole = delta.hole if self._record.endpoint == INFILL else None
        return pb.Committed(choice=delta.choice, text=delta.text, hole=hole, logprobs=_logprobs(delta.chances))

    def _numbered(self, **event: Any) -> pb.Event:
        self._sequence += 1
        return pb.Event(sequence=self._sequence, **event)


def _head(record: RequestRecord) -> dict[str, Any]:
    """What every answer begins with."""
    created = Timestamp()
    created.FromSeconds(int(record.created_at))
    tier = TIERS[record.parameters["tenancy"]["band"]]
    return {
        "id": record.id,
        "created": created,
        "model": record.model,
        "system_fingerprint": record.parameters["revision"],
        "service_tier": number_of(pb.ServiceTier.DESCRIPTOR, tier),
    }


def _canvas(frame: CanvasFrame) -> pb.Canvas:
    canvas = pb.Canvas(
        choice=frame.choice,
        block=frame.block,
        step=frame.step,
        max_steps=frame.max_steps,
        masked=frame.masked,
        start=frame.start,
        length=frame.length,
        committed_chars=frame.committed_chars,
    )
    if frame.edits is None:
        canvas.snapshot = frame.text or ""
    else:
        canvas.patch.edits.extend(pb.Edit(position=position, text=text) for position, text in frame.edits)
        canvas.patch.SetInParent()
    return canvas


def _reason(done: Done) -> Any:
    return number_of(pb.FinishReason.DESCRIPTOR, done.reason)


def _usage(ends: Sequence[Done]) -> pb.Usage:
    return ParseDict(usage_json(total(ends)), pb.Usage())


def _logprobs(chances: Sequence[TokenChance]) -> list[pb.TokenLogprob]:
    return [
        pb.TokenLogprob(
            token=chance.text,
            logprob=chance.logprob,
            offset=chance.offset,
            top_logprobs=[pb.TopLogprob(token=text, logprob=logprob) for text, logprob in chance.top],
        )
        for chance in chances
    ]
