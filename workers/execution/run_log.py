"""Log facts and counts of runs, the same for ordinary and transactional events."""

import logging
from typing import Protocol

from surehook.shared.models import Event
from surehook.workers.metrics import WorkerMetrics

log = logging.getLogger(__name__)


class Work(Protocol):
    """A claim or a transaction."""

    @property
    def event_id(self) -> str: ...
    @property
    def event_type(self) -> str: ...


def run_facts(work: Work, handler: str, outcome: str, attempt: int) -> dict[str, object]:
    """The fields that every log line about a run has."""
    return {
        "event_type": work.event_type,
        "event_id": work.event_id,
        "handler": handler,
        "outcome": outcome,
        "attempt": attempt,
    }


def warn_of_untyped_fields(event: Event, work: Work, metrics: WorkerMetrics) -> None:
    """Says that handlers get a plain `Event`, because fields of this one do not fit its type's model."""
    metrics.count_untyped(work.event_type)
    facts = {"event_type": work.event_type, "event_id": work.event_id, "fields": " ".join(event.misfits)}
    log.warning("event does not fit its type's model", extra=facts)
