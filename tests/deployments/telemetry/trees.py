"""Spans as a receiver has them, and the trees that they make."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk.trace import ReadableSpan


class BrokenTree(AssertionError):
    """These spans are not one tree."""


@dataclass(frozen=True, slots=True)
class Told:
    """A span. Identifiers are hex digits; without a ``parent`` it is a root. Times are Unix nanoseconds."""

    name: str
    trace: str
    id: str
    parent: str = ""
    kind: str = "INTERNAL"
    began: int = 0
    ended: int = 0
    failed: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)
    events: tuple[tuple[str, dict[str, Any]], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    resource: dict[str, Any] = field(default_factory=dict)


def told(exported: ExportTraceServiceRequest) -> list[Told]:
    """The spans of one export."""
    return [
        _told(span, _values(resource.resource.attributes))
        for resource in exported.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def told_in_memory(spans: Sequence[ReadableSpan]) -> list[Told]:
    """The spans that an exporter in this process was given."""
    return told(encode_spans(spans))


def _told(span: trace_pb2.Span, resource: dict[str, Any]) -> Told:
    return Told(
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        began=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        attributes=_values(span.attributes),
        events=tuple((event.name, _values(event.attributes)) for event in span.events),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        resource=resource,
    )


def _values(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


def traces(spans: Iterable[Told]) -> dict[str, list[Told]]:
    """The spans of each trace."""
    found: defaultdict[str, list[Told]] = defaultdict(list)
    for span in spans:
        found[span.trace].append(span)
    return dict(found)


def outline(spans: Sequence[Told], client: str = "") -> str:
    """The names of a trace's spans, one a line, children indented below their parent and in the order of their names.

    Its root has no parent, or the ``client``'s span. Raises :class:`BrokenTree` where spans are of several traces, one
    comes twice, there is not exactly one root, or a parent is not there.
    """
    check_tree(spans, client)
    children: defaultdict[str, list[Told]] = defaultdict(list)
    for span in spans:
        children[span.parent].append(span)

    def lines(parent: str, depth: int) -> Iterator[str]:
        for span in sorted(children[parent], key=lambda child: (child.name, child.began)):
            yield "  " * depth + span.name
            yield from lines(span.id, depth + 1)

    return "\n".join(lines(client, 0))


def check_tree(spans: Sequence[Told], client: str = "") -> None:
    """Raise :class:`BrokenTree` unless ``spans`` are one whole tree."""
    if len({span.trace for span in spans}) != 1:
        raise BrokenTree(f"spans of {len({span.trace for span in spans})} traces")
    known = {span.id for span in spans}
    if len(known) != len(spans):
        raise BrokenTree("a span comes twice")
    roots = [span.name for span in spans if span.parent == client]
    if len(roots) != 1:
        raise BrokenTree(f"roots: {roots}")
    orphans = [span.name for span in spans if span.parent not in known | {client}]
    if orphans:
        raise BrokenTree(f"orphans: {orphans}")
