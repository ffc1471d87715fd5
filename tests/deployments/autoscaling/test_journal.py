"""What was decided can be read again, as far back as it is kept and no further."""

from __future__ import annotations

from deployments.autoscaling.journal import SEGMENTS, Journal, MemorySegments, read
from deployments.autoscaling.trace import Trace, read_trace
from tests.deployments.autoscaling.seen import NOW, spec, told


def trace_in(segments: MemorySegments) -> Trace:
    return read_trace(line for text in read(segments) for line in text.splitlines())


def test_rounds_come_back() -> None:
    segments = MemorySegments()
    journal = Journal(segments, 3600.0)
    rounds = [told(NOW + 2 * number, 1, 1 + number % 2, load=0.5) for number in range(100)]
    for each in rounds:
        journal.write(each)
    trace = trace_in(segments)
    assert trace.specs == {spec().name: spec()}
    assert trace.samples[spec().name] == tuple(each.samples[spec().name] for each in rounds)
    assert trace.decisions == tuple(each.decision for each in rounds)
    assert len(segments.numbers()) > 1
    for number in segments.numbers():
        assert read_trace((segments.get(number) or "").splitlines()).specs, "each segment can be read by itself"


def test_what_is_older_than_the_history_is_dropped_whoever_wrote_it() -> None:
    segments = MemorySegments()
    segments.put(int(NOW) - 9999, "of a controller that is gone\n")
    journal = Journal(segments, 60.0)
    for number in range(300):
        journal.write(told(NOW + number))
    times = [each.at for each in trace_in(segments).decisions]
    assert times[-1] == NOW + 299
    assert 60.0 <= times[-1] - times[0] <= 60.0 + 2 * 60.0 / SEGMENTS
    assert len(segments.numbers()) <= SEGMENTS + 2


def test_a_round_without_a_decision_is_kept_as_well() -> None:
    segments = MemorySegments()
    one = told(NOW)
    Journal(segments, 60.0).write(type(one)(one.at, one.specs, one.samples, None))
    trace = trace_in(segments)
    assert (len(trace.samples[spec().name]), trace.decisions) == (1, ())
