"""The memory of one delivery in a test: which events were applied, and which keys a dead letter holds."""

from typing import Protocol

from surehook.shared.models import Event
from surehook.workers.execution.runner import RunResult, RunStatus
from surehook.workers.handlers.ordering import DEFERRED, HOLD, OUTDATED, UNCHANGED, has_changed
from surehook.workers.handlers.registry import Handler

NOT_FAILED = frozenset({RunStatus.DONE.value, UNCHANGED, OUTDATED, DEFERRED})


class LastRun(Protocol):
    """The last run of a handler for an event."""

    @property
    def outcome(self) -> str: ...
    @property
    def is_dead_letter(self) -> bool: ...


def unchanged(handler: Handler, event: Event) -> str:
    """The outcome without a run, if no field that the handler waits for has changed."""
    return UNCHANGED if handler.changed and not has_changed(event, handler.changed) else ""


class Lines:
    """The lines of all keys and handlers."""

    def __init__(self) -> None:
        self._held: set[tuple[str, str]] = set()
        self._applied: dict[tuple[str, str], int] = {}

    def reason_to_skip(self, handler: Handler, place: str | RunResult) -> str:
        key, subject, changed_at = self._parts(place)
        if (handler.name, key) in self._held:
            return DEFERRED
        return OUTDATED if changed_at < self._applied.get((handler.name, subject), 0) else ""

    def record(self, handler: Handler, place: str | RunResult, last: LastRun) -> None:
        key, subject, changed_at = self._parts(place)
        if key and last.is_dead_letter and handler.order is not None and handler.order.on_dead == HOLD:
            self._held.add((handler.name, key))
        if subject and last.outcome == RunStatus.DONE.value:
            self._applied[handler.name, subject] = changed_at

    def _parts(self, place: str | RunResult) -> tuple[str, str, int]:
        """The key, the subject of `latest_only` and the instant of its change."""
        _, key, subject, changed_at = (*(place if isinstance(place, str) else "").split(":"), "", "", "", "")[:4]
        return key, subject, int(changed_at or 0)
