"""FusionAuth's Webhook Event Log: what was fired, and how each attempt to deliver it ended (FACTS §10 and §16)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from uuid import uuid4

from surehook.fusionauth.simulator.quirks import Version

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
DEFAULT_PAGE = 25


@dataclass(slots=True)
class LogEntry:
    """An event that was fired. Instants are epoch milliseconds."""

    id: str
    body: dict[str, Any]
    text: bytes
    """As it was sent."""
    sequence: int
    inserted_at: int
    result: str = "Running"
    attempts: list[dict[str, Any]] = field(default_factory=list)
    last_attempt_at: int | None = None
    updated_at: int = 0

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body["event"]
        return found

    def as_json(self) -> dict[str, Any]:
        succeeded = sum(attempt["attemptResult"] == "Success" for attempt in self.attempts)
        shown = {
            "attempts": list(self.attempts),
            "data": {},
            "event": self.body,
            "eventResult": self.result,
            "eventType": self.event["type"],
            "failedAttempts": sum(attempt["attemptResult"] == "Failure" for attempt in self.attempts),
            "id": self.id,
            "insertInstant": self.inserted_at,
            "lastAttemptInstant": self.last_attempt_at,
            "lastUpdateInstant": self.updated_at or self.inserted_at,
            "linkedObjectId": self.event.get("linkedObjectId"),
            "sequence": self.sequence,
            "successfulAttempts": succeeded,
        }
        return {name: value for name, value in shown.items() if value is not None}


COLUMNS: Mapping[str, Callable[[LogEntry], Any]] = {
    "eventResult": lambda entry: entry.result,
    "eventType": lambda entry: entry.event["type"],
    "id": lambda entry: entry.id,
    "insertInstant": lambda entry: entry.inserted_at,
    "lastAttemptInstant": lambda entry: entry.last_attempt_at,
    "linkedObjectId": lambda entry: entry.event.get("linkedObjectId"),
    "sequence": lambda entry: entry.sequence,
}


@dataclass(frozen=True, slots=True)
class Search:
    """The criteria of a search, with FusionAuth's defaults filled in."""

    start: int | None = None
    end: int | None = None
    event: str = ""
    event_result: str = ""
    event_type: str = ""
    order_by: str = ""
    page: int = DEFAULT_PAGE
    start_row: int = 0

    def matches(self, entry: LogEntry) -> bool:
        return (
            (self.start is None or self.start <= entry.inserted_at)
            and (self.end is None or entry.inserted_at < self.end)
            and self.event_result in ("", entry.result)
            and self.event_type in ("", entry.event["type"])
            and (not self.event or _like(self.event).search(_lowered(entry.text)) is not None)
        )


def search_from_json(criteria: Mapping[str, Any], *, now_ms: int, version: Version) -> Search:
    """Reads a search.

    Raises:
        ValueError: an instant or a number is none.
    """
    start, end = (_integer(criteria.get(name), None) for name in ("start", "end"))
    if version.limits_search_to_last_hour:
        minute = now_ms - now_ms % MINUTE_MS
        start = minute - HOUR_MS if start is None else start
        end = minute + MINUTE_MS if end is None else end
    return Search(
        start=start,
        end=end,
        event=str(criteria.get("event") or "").lower(),
        event_result=str(criteria.get("eventResult") or ""),
        event_type=str(criteria.get("eventType") or ""),
        order_by=str(criteria.get("orderBy") or ""),
        page=_integer(criteria.get("numberOfResults"), DEFAULT_PAGE),
        start_row=_integer(criteria.get("startRow"), 0),
    )


def _integer(value: Any, default: Any) -> Any:
    return default if value is None or value == "" else int(value)


def _lowered(text: bytes) -> str:
    return text.decode("utf-8", "replace").lower()


def _like(pattern: str) -> re.Pattern[str]:
    """A lower-cased LIKE in which `*` is any text; without one the value may stand anywhere."""
    parts = ".*".join(map(re.escape, pattern.split("*")))
    return re.compile(f"^{parts}$" if "*" in pattern else parts, re.DOTALL)


class EventLog:
    """The log of an installation; each method may be called from any thread."""

    def __init__(self, *, version: Version, page_limit: Callable[[int], int] = lambda asked: asked) -> None:
        """`page_limit` gives the rows of a page for those asked for, in versions whose pages run short.

        Beyond `max_bytes` of bodies the oldest entries are dropped, unlike in FusionAuth's own log.
        """
        self.max_bytes: int | None = None
        self._bytes = 0
        self._version = version
        self._page_limit = page_limit
        self._entries: dict[str, LogEntry] = {}
        self._sequence = 0
        self._lock = Lock()

    def add(self, body: dict[str, Any], text: bytes, *, now_ms: int, entry_id: str | None = None) -> LogEntry:
        """Records that an event is being sent."""
        with self._lock:
            self._sequence += 1
            entry = LogEntry(entry_id or str(uuid4()), body, text, self._sequence, now_ms)
            self._entries[entry.id] = entry
            self._bytes += len(text)
            while self.max_bytes is not None and self._bytes > self.max_bytes and len(self._entries) > 1:
                self._bytes -= len(self._entries.pop(next(iter(self._entries))).text)
            return entry

    def record(self, entry: LogEntry, attempt: dict[str, Any]) -> None:
        with self._lock:
            entry.attempts.append(attempt)
            entry.last_attempt_at = entry.updated_at = attempt["endInstant"]

    def finish(self, entry: LogEntry, *, is_success: bool, now_ms: int) -> None:
        with self._lock:
            entry.result, entry.updated_at = ("Succeeded" if is_success else "Failed"), now_ms

    def get(self, entry_id: str) -> dict[str, Any] | None:
        with self._lock:
            entry = self._entries.get(entry_id)
            return entry.as_json() if entry else None

    def attempt(self, attempt_id: str) -> dict[str, Any] | None:
        with self._lock:
            for entry in self._entries.values():
                for attempt in entry.attempts:
                    if attempt["id"] == attempt_id:
                        return {**attempt, "webhookEventLogId": entry.id}
        return None

    def search(self, search: Search) -> dict[str, Any]:
        """Returns a page and the number of all rows that match."""
        with self._lock:
            found = [entry for entry in self._entries.values() if search.matches(entry)]
            for column, is_descending in reversed(self._order(search.order_by)):
                found.sort(key=lambda entry: _sortable(COLUMNS[column](entry)), reverse=is_descending)
            rows = self._page_limit(search.page) if self._version.has_short_pages else search.page
            page = [entry.as_json() for entry in found[search.start_row : search.start_row + rows]]
        return {"total": len(found), "webhookEventLogs": page}

    def _order(self, text: str) -> list[tuple[str, bool]]:
        """Reads `column [ASC|DESC], …`; anything odd is dropped for the default (FACTS §16)."""
        default = [("insertInstant" if self._version.limits_search_to_last_hour else "sequence", True)]
        order = []
        for part in text.split(",") if text else ():
            column, _, direction = part.strip().partition(" ")
            if column not in COLUMNS or direction.strip().upper() not in ("", "ASC", "DESC"):
                return default
            order.append((column, direction.strip().upper() == "DESC"))
        return order or default

    def delete_older_than(self, days: int, *, now_ms: int) -> int:
        """Deletes what the retention no longer keeps, and returns how many entries that were."""
        with self._lock:
            old = [key for key, entry in self._entries.items() if entry.inserted_at < now_ms - days * DAY_MS]
            for key in old:
                self._bytes -= len(self._entries.pop(key).text)
            return len(old)


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)
