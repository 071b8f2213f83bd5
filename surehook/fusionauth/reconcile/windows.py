"""Reads a period of the event log in narrow windows: a search costs as much as its window holds (FACTS §16)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from surehook.fusionauth.log_pages import EventLogReader, LogPages, Page, Row, Unreadable
from surehook.fusionauth.reconcile.entries import number
from surehook.fusionauth.transport import FusionAuthError, SearchTooBroad

ROWS = 500
# A window that holds more than this is halved before it is read; one that holds far less is doubled.
MAX_ROWS_OF_A_WINDOW = 2_000
NARROWER = 8
FEW_ROWS = 500
FIRST_WINDOW_MS = 5 * 60_000
MAX_WINDOW_MS = 6 * 3_600_000
MIN_WINDOW_MS = 1
READINGS_OF_A_WINDOW = 4
# A total that is far from the truth would else be asked for page by page.
MOST_EMPTY_PAGES = 3


@dataclass(frozen=True, slots=True)
class Window:
    """The entries that were inserted from `start_ms` on and before `end_ms`, the oldest first."""

    start_ms: int
    end_ms: int
    rows: list[dict[str, Any]]
    unreadable: list[Unreadable]


def read_windows(
    log: EventLogReader, start_ms: int, end_ms: int, *, pace: Callable[[], None] = lambda: None
) -> Iterator[Window]:
    """Returns a period window by window, each of them whole. `pace` is called before each request.

    Raises:
        FusionAuthError: FusionAuth cannot be asked, or its answers never add up to its own total.
    """
    width, at, rows = FIRST_WINDOW_MS, start_ms, ROWS
    while at < end_ms:
        end = min(at + width, end_ms)
        is_narrowest = end - at <= MIN_WINDOW_MS
        pages = LogPages(log, at, end, rows, pace)
        try:
            first = pages.page(0)
            if first[0] > MAX_ROWS_OF_A_WINDOW and not is_narrowest:
                width = max(MIN_WINDOW_MS, (end - at) // 2)
                continue
            window = _whole(pages, first)
        except SearchTooBroad:
            if is_narrowest and rows == 1:
                raise
            rows = 1 if is_narrowest else ROWS
            width = max(MIN_WINDOW_MS, (end - at) // NARROWER)
            continue
        yield window
        at, rows = end, ROWS
        if first[0] < FEW_ROWS:
            width = min(width * 2, MAX_WINDOW_MS)


def _whole(pages: LogPages, first: Page) -> Window:
    """Reads every page, again from the first where the retention has deleted rows in between.

    Raises:
        FusionAuthError: the pages never add up to the total.
    """
    for _ in range(READINGS_OF_A_WINDOW):
        found: dict[str, Row] = {}
        start_row, (total, rows) = 0, first
        totals, empty_pages = {total}, 0
        while True:
            found.update((row.name if isinstance(row, Unreadable) else row["id"], row) for row in rows)
            # A page may run short although more exist: then the next one overlaps it, so that nothing is left out.
            start_row += len(rows) or pages.rows
            empty_pages = 0 if rows else empty_pages + 1
            if start_row >= total or empty_pages == MOST_EMPTY_PAGES:
                break
            total, rows = pages.page(start_row)
            totals.add(total)
        if len(totals) == 1 and len(found) >= total:
            entries = [row for row in found.values() if not isinstance(row, Unreadable)]
            unreadable = [row for row in found.values() if isinstance(row, Unreadable)]
            entries.sort(key=lambda row: number(row.get("sequence")))
            return Window(pages.start_ms, pages.end_ms, entries, unreadable)
        first = pages.page(0)
    raise FusionAuthError(
        f"the event log says that a window holds {total} entries, and its pages hold {len(found)}: run it again later"
    )
