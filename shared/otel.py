"""Exports spans with OpenTelemetry, and derives the ids of an event's accept span from the event's id.

So a worker can refer to that span without anything being stored: its trace has the event's id (without the hyphens) as
its own. Only where the sender's `traceparent` was continued is the trace another one, and the store knows it.
"""

import hashlib
import os
import threading
from importlib.metadata import entry_points
from uuid import UUID

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

EXPORTERS = "opentelemetry_traces_exporter"  # the group of entry points in which exporters are registered
BY_PROTOCOL = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
LAST_SPANS_SECONDS = 2.0
_HEADER = "traceparent"
_PROPAGATOR = TraceContextTextMapPropagator()


class DerivedIds(RandomIdGenerator):
    """Random ids, except for the accept span of the event that is set."""

    event_id: str | None = None

    def generate_trace_id(self) -> int:
        return super().generate_trace_id() if self.event_id is None else trace_id_of(self.event_id)

    def generate_span_id(self) -> int:
        return super().generate_span_id() if self.event_id is None else span_id_of(self.event_id)


class Traces:
    """The spans of one process.

    Raises:
        LookupError, ValueError: no such exporter is installed, or a variable of OpenTelemetry has a mistake.
    """

    def __init__(self, service: str) -> None:
        self.ids = DerivedIds()
        self._provider = trace.get_tracer_provider()
        self._own: TracerProvider | None = None
        if not isinstance(self._provider, TracerProvider):  # else a user's module has set one up: spans go there
            named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: service}
            self._own = TracerProvider(resource=Resource.create(named), id_generator=self.ids, shutdown_on_exit=False)
            self._own.add_span_processor(BatchSpanProcessor(_exporter()))
            trace.set_tracer_provider(self._own)  # so that the spans of handlers go there, too
            self._provider = self._own
        self.tracer = self._provider.get_tracer("surehook")

    def close(self) -> None:
        """Sends what is left, for at most two seconds."""
        if self._own is not None:
            sending = threading.Thread(target=self._own.shutdown, daemon=True)
            sending.start()
            sending.join(LAST_SPANS_SECONDS)


def accept_span(event_id: str, sender: str = "") -> SpanContext:
    """The ids of an event's accept span.

    Args:
        event_id: the event's.
        sender: the sender's `traceparent`, if the span continues that trace.
    """
    before = sender_span(sender)
    trace_id = trace_id_of(event_id) if before is None else before.trace_id
    flags = TraceFlags(TraceFlags.SAMPLED) if before is None else before.trace_flags
    return SpanContext(trace_id, span_id_of(event_id), is_remote=True, trace_flags=flags)


def sender_span(traceparent: str) -> SpanContext | None:
    """The span that a header names; None if it is empty or malformed (W3C Trace Context, section 3.2)."""
    context = trace.get_current_span(_PROPAGATOR.extract({_HEADER: traceparent})).get_span_context()
    return context if context.is_valid else None


def traceparent_of(span: SpanContext) -> str:
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


def trace_id_of(event_id: str) -> int:
    return UUID(event_id).int or 1  # zero is invalid


def span_id_of(event_id: str) -> int:
    return int.from_bytes(hashlib.sha256(event_id.encode()).digest()[:8]) or 1


def _exporter() -> SpanExporter:
    name = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    if name == "otlp":
        protocol = (
            os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
            or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
            or "http/protobuf"
        )
        name = BY_PROTOCOL.get(protocol, protocol)
    for found in entry_points(group=EXPORTERS, name=name):
        exporter: SpanExporter = found.load()()
        return exporter
    raise LookupError(f"no exporter {name} is installed; OTEL_TRACES_EXPORTER names another")
