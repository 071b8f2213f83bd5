"""A span for each event that is accepted, written after its response has left."""

import time
from collections.abc import Iterable

from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind

from surehook.shared.envelope import Envelope
from surehook.shared.otel import Traces, sender_span, traceparent_of

HEADER = b"traceparent"
NANOSECONDS = 1_000_000_000
REPEATED, SPOOLED = "duplicate", "spooled"


class AcceptTracer:
    """Continues the sender's trace, if its delivery has a `traceparent`."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces
        self.close = traces.close

    def with_trace(self, envelope: Envelope, headers: Iterable[tuple[bytes, bytes]]) -> Envelope:
        """The event with its sender's `traceparent`, if it has a valid one."""
        given = next((value.decode("latin-1") for name, value in headers if name == HEADER), "")
        sender = sender_span(given)
        return envelope if sender is None else envelope._replace(sender_trace=traceparent_of(sender))

    def record(self, envelope: Envelope, outcome: str, seconds: float) -> None:
        """Writes the span of a delivery that ends now.

        A repeated delivery gets a span of its own, as that of the first one is there already. What waited in the spool
        is not known to have continued a trace, so its span is linked with the sender's instead.
        """
        ended = time.time_ns()
        sender = sender_span(envelope.sender_trace)
        links = [Link(sender)] if sender is not None and outcome == SPOOLED else []
        parent = None if sender is None or links else trace.set_span_in_context(trace.NonRecordingSpan(sender))
        self._traces.ids.event_id = None if outcome == REPEATED else envelope.event_id
        try:
            span = self._traces.tracer.start_span(
                "accept event",
                context=parent,
                kind=SpanKind.SERVER,
                attributes={
                    "surehook.event.id": envelope.event_id,
                    "surehook.event.type": envelope.event_type,
                    "surehook.outcome": outcome,
                },
                links=links,
                start_time=ended - int(seconds * NANOSECONDS),
            )
        finally:
            self._traces.ids.event_id = None
        span.end(ended)
