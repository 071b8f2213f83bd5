"""Reconciles a period: reads the log window by window, and has what is missing stored before it reads on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Protocol

from surehook.fusionauth.log_pages import EventLogReader
from surehook.fusionauth.reconcile.decisions import Fate, Webhooks, fate_of
from surehook.fusionauth.reconcile.entries import SUCCEEDED, LogEntry, entry_from_json, may_be_missed
from surehook.fusionauth.reconcile.statement import Statement
from surehook.fusionauth.reconcile.windows import Window, read_windows
from surehook.shared.errors import MalformedBody


class Known(Enum):
    """An event as our store has it."""

    NEW = "new"
    PRESENT = "present"
    REFUSED = "refused"
    """A transaction that was answered with a refusal, and whose handlers did not run since."""
    CONFIRMED = "confirmed"
    """A transaction that was answered with success."""


class Stored(Enum):
    """The outcome of storing an event."""

    NEW = "new"
    DUPLICATE = "duplicate"
    """It has arrived in the meantime, or its id is known of an event that is no longer kept."""
    REFUSED = "refused"
    """The store refuses this event alone."""


class EventStore(Protocol):
    """Our store. Each method returns after the store's fsync, and may be repeated."""

    def look_up(self, event_ids: Sequence[str]) -> list[Known]: ...

    def store(self, entries: Sequence[LogEntry]) -> list[Stored]: ...

    def run_committed(self, event_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Reconciles periods.

    `advance` is called after each window with the instant up to which all is decided, `on_window` with its end.
    """

    log: EventLogReader
    events: EventStore
    webhooks: Webhooks
    now_ms: Callable[[], int]
    id_retention_ms: int
    max_body_bytes: int
    advance: Callable[[int], None] = lambda _: None
    pace: Callable[[], None] = lambda: None
    on_window: Callable[[int, Statement], None] = lambda _, __: None

    def run(self, start_ms: int, end_ms: int, *, is_dry_run: bool = False) -> Statement:
        """Returns the statement of a period.

        Raises:
            FusionAuthError: FusionAuth cannot be asked. What was stored before stays stored.
        """
        statement = Statement(start_ms, end_ms, is_dry_run=is_dry_run)
        decided = True
        for window in read_windows(self.log, start_ms, end_ms, pace=self.pace):
            oldest_running = self._reconcile(window, statement)
            if decided and not is_dry_run:
                self.advance(window.end_ms if oldest_running is None else oldest_running)
            decided = decided and oldest_running is None
            self.on_window(window.end_ms, statement)
        return statement

    def _reconcile(self, window: Window, statement: Statement) -> int | None:
        """Handles one window. Returns when the oldest event was fired whose operation is still running."""
        now = self.now_ms()
        oldest_running: int | None = None
        candidates: dict[str, tuple[LogEntry, Fate]] = {}
        rolled_back = []
        for unreadable in window.unreadable:
            statement.count("unreadable", unreadable.name)
        for row in window.rows:
            entry = self._entry(row, window, statement)
            if entry is None:
                continue
            fate = fate_of(entry, self.webhooks, now_ms=now)
            if fate is Fate.RUNNING and oldest_running is None:
                oldest_running = entry.inserted_at_ms
            if name := _COUNTED.get(fate):
                statement.count(name, entry.envelope.event_id)
                if fate is Fate.ROLLED_BACK:
                    rolled_back.append(entry.envelope.event_id)
            elif fate is not Fate.NOT_FOR_US:
                candidates.setdefault(entry.envelope.event_id, (entry, fate))
        self._recover(list(candidates.values()), statement, now)
        for event_id, state in zip(rolled_back, self.events.look_up(rolled_back), strict=True):
            if state is Known.CONFIRMED:
                statement.count("contradicted", event_id)
        return oldest_running

    def _entry(self, row: dict[str, Any], window: Window, statement: Statement) -> LogEntry | None:
        try:
            entry = entry_from_json(row)
        except MalformedBody:
            if may_be_missed(row, self.webhooks.ids):
                statement.count("unusable", f"log entry {row.get('id')}")
            return None
        # Another instant cannot be true, and would move the mark past other events.
        inserted_at_ms = min(max(entry.inserted_at_ms, window.start_ms), window.end_ms - 1)
        return replace(entry, inserted_at_ms=inserted_at_ms)

    def _recover(self, candidates: Sequence[tuple[LogEntry, Fate]], statement: Statement, now: int) -> None:
        missing: list[tuple[LogEntry, Fate]] = []
        known = self.events.look_up([entry.envelope.event_id for entry, _ in candidates])
        for (entry, fate), state in zip(candidates, known, strict=True):
            event_id = entry.envelope.event_id
            if state is not Known.NEW:
                statement.count("arrived", event_id)
                if state is Known.REFUSED and entry.result == SUCCEEDED:
                    self._commit(event_id, statement)
            elif entry.inserted_at_ms < now - self.id_retention_ms:
                statement.count("too_old", event_id)
            elif len(entry.envelope.body) > self.max_body_bytes:
                statement.count("too_large", event_id)
            else:
                missing.append((entry, fate))
        stored = [Stored.NEW] * len(missing)
        if missing and not statement.is_dry_run:
            stored = self.events.store([entry for entry, _ in missing])
        for (entry, fate), outcome in zip(missing, stored, strict=True):
            statement.count(_STORED[outcome], entry.envelope.event_id)
            if outcome is Stored.NEW and fate is Fate.DELIVERED:
                statement.count("answered", entry.envelope.event_id)

    def _commit(self, event_id: str, statement: Statement) -> None:
        statement.count("committed", event_id)
        if not statement.is_dry_run:
            self.events.run_committed(event_id)


_STORED = {Stored.NEW: "recovered", Stored.DUPLICATE: "arrived", Stored.REFUSED: "unusable"}
_COUNTED = {Fate.ROLLED_BACK: "rolled_back", Fate.RUNNING: "running", Fate.INTERRUPTED: "interrupted"}
