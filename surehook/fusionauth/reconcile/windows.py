"""Reads a period of the event log in narrow windows: a search costs as much as its window holds (FACTS §16)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from surehook.fusionauth.client import FusionAuthError

ROWS = 500
# A window that holds more than this is halved before it is read; one that holds far less is doubled.
MAX_ROWS_OF_A_WINDOW = 5_000
FEW_ROWS = 1_000
FIRST_WINDOW_MS = 5 * 60_000
MAX_WINDOW_MS = 6 * 3_600_000
MIN_WINDOW_MS = 1
READINGS_OF_A_WINDOW = 4


class EventLogReader(Protocol):
    """Anything that searches the event log, as the client does."""

    def search_event_log(
        self, *, start_ms: int, end_ms: int, start_row: int, rows: int
    ) -> tuple[int, list[dict[str, Any]]]: ...


@dataclass(frozen=True, slots=True)
class Window:
    """The entries that were inserted from `start_ms` on and before `end_ms`, the oldest first."""

    start_ms: int
    end_ms: int
    rows: list[dict[str, Any]]


def read_windows(
    log: EventLogReader, start_ms: int, end_ms: int, *, pace: Callable[[], None] = lambda: None
) -> Iterator[Window]:
    """Returns a period window by window, each of them whole. `pace` is called before each request.

    Raises:
        FusionAuthError: FusionAuth cannot be asked, or its answers never add up to its own total.
    """
    width, at = FIRST_WINDOW_MS, start_ms
    while at < end_ms:
        end = min(at + width, end_ms)
        pace()
        total, first = log.search_event_log(start_ms=at, end_ms=end, start_row=0, rows=ROWS)
        if total > MAX_ROWS_OF_A_WINDOW and end - at > MIN_WINDOW_MS:
            width = max(MIN_WINDOW_MS, (end - at) // 2)
            continue
        yield Window(at, end, _whole(log, at, end, (total, first), pace))
        at = end
        if total < FEW_ROWS:
            width = min(width * 2, MAX_WINDOW_MS)


def _whole(
    log: EventLogReader,
    start_ms: int,
    end_ms: int,
    first: tuple[int, list[dict[str, Any]]],
    pace: Callable[[], None],
) -> list[dict[str, Any]]:
    """Reads every page, again from the first where the retention has deleted rows in between."""
    for _ in range(READINGS_OF_A_WINDOW):
        found: dict[str, dict[str, Any]] = {}
        start_row, (total, rows) = 0, first
        totals = {total}
        while True:
            found.update((str(row.get("id")), row) for row in rows)
            # A page may run short although more exist: then the next one overlaps it, so that nothing is left out.
            start_row += len(rows) or ROWS
            if start_row >= total:
                break
            pace()
            total, rows = log.search_event_log(start_ms=start_ms, end_ms=end_ms, start_row=start_row, rows=ROWS)
            totals.add(total)
        if len(totals) == 1 and len(found) >= total:
            return sorted(found.values(), key=lambda row: row.get("sequence") or 0)
        pace()
        first = log.search_event_log(start_ms=start_ms, end_ms=end_ms, start_row=0, rows=ROWS)
    raise FusionAuthError(
        f"the event log says that a window holds {total} entries, and its pages hold {len(found)}: run it again later"
    )
