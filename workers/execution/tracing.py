"""A span around each run of a handler, as the outermost `@around` function."""

from collections.abc import Callable, Iterator
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Link, StatusCode
from redis.exceptions import RedisError

from surehook.shared.keys import Keys
from surehook.shared.models import Event
from surehook.shared.otel import Traces, accept_span
from surehook.shared.scripts import text
from surehook.shared.settings import Settings
from surehook.shared.store import connect
from surehook.workers.handlers.attempt import Attempt
from surehook.workers.handlers.errors import RetryLater
from surehook.workers.handlers.hooks import Around
from surehook.workers.handlers.parameters import Parameters

STORE_TIMEOUT_SECONDS = 2.0
ROOT = trace.set_span_in_context(trace.INVALID_SPAN)


class SenderTraces:
    """Gives the traces that the senders of events have begun."""

    def __init__(self, settings: Settings) -> None:
        self._store = connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS)
        self._keys = Keys(settings.key_prefix)

    def __call__(self, event_id: str) -> str:
        try:
            found = self._store.hget(self._keys.event(event_id), "traceparent")
        except (RedisError, OSError):
            return ""  # a span without its link is better than a run that fails
        return text(found) if found else ""


def run_spans(traces: Traces, remembered: Callable[[str], str], *, are_children: bool) -> Around:
    """Surrounds each run with a span.

    Args:
        traces: where they are written.
        remembered: gives the `traceparent` of an event's sender, if its accept span continues that trace.
        are_children: the sender waits for the run, so its span is a child of the accept span. Otherwise it is a root
            that is linked with it: a retry, four hours later, must not stretch the trace.
    """

    def span(event: Event, attempt: Attempt) -> Iterator[None]:
        event_id = str(event.id)
        accepted = accept_span(event_id, remembered(event_id))
        options: dict[str, Any] = {"context": ROOT, "links": [Link(accepted)]}
        if are_children:
            options = {"context": trace.set_span_in_context(trace.NonRecordingSpan(accepted))}
        attributes: dict[str, str | int] = {
            "surehook.event.id": event_id,
            "surehook.event.type": event.type,
            "surehook.handler": attempt.handler,
            "surehook.attempt": attempt.number,
        }
        # Without the exception: its message may quote the event.
        with traces.tracer.start_as_current_span(
            f"run {attempt.handler}",
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
            **options,
        ) as current:
            try:
                yield
            except BaseException as exc:
                current.set_attribute("error.type", type(exc).__name__)
                if not isinstance(exc, RetryLater):
                    current.set_status(StatusCode.ERROR)
                raise

    return Around(span, "surehook", is_async=False, parameters=Parameters(accepts_attempt=True))
