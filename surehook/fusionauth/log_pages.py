"""Reads pages of the Webhook Event Log. An entry that cannot be read is left out by name, and hides no others.

A page is unreadable as a whole because of one entry in it: nested too deeply, cut off, no UTF-8, an error of FusionAuth
itself. So it is asked for again in halves, until that entry is alone in its page.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from surehook.fusionauth.transport import MAX_RESPONSE_BYTES, AnswerTooLarge, PageUnreadable

# A page that is larger, or that takes too long, makes its window narrower. So memory stays bounded, but for the one
# millisecond in which a large import was sent.
MAX_BYTES_OF_A_PAGE = 16 * 1024 * 1024
# Past the end of every window: a page there has no entries, and says how many the window holds.
PAST_THE_END = 1_000_000


class EventLogReader(Protocol):
    """Anything that searches the event log, as the client does."""

    def search_event_log(
        self, *, start_ms: int, end_ms: int, start_row: int, rows: int, max_bytes: int = ...
    ) -> tuple[int, list[dict[str, Any]]]: ...


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An entry of which nothing is known but its id or its place."""

    name: str


Row = dict[str, Any] | Unreadable
Page = tuple[int, list[Row]]


@dataclass(slots=True)
class LogPages:
    """Reads one window, at most `rows` entries at a time. A page of one may be as large as an entry gets."""

    log: EventLogReader
    start_ms: int
    end_ms: int
    rows: int
    pace: Callable[[], None] = lambda: None
    _suspect_end: int = field(default=0, init=False)
    """There is an unreadable entry before this row, if it is not 0."""

    def page(self, start_row: int) -> Page:
        """Returns the number of all entries, and a page of them from a row on.

        Raises:
            SearchTooBroad: the page is too large, or the search takes too long.
            FusionAuthError: FusionAuth cannot be asked, or answers nothing readable at all.
        """
        rows = self.rows
        if start_row < self._suspect_end:
            rows = max(1, (self._suspect_end - start_row) // 2)
        while True:
            try:
                total, found = self._search(start_row, rows)
            except AnswerTooLarge:
                if self.rows > 1:
                    raise
                return self._without(start_row, "")
            except PageUnreadable as exc:
                if rows == 1:
                    return self._without(start_row, exc.log_id)
                end = start_row + rows
                if not self._suspect_end:  # it raises if FusionAuth does not answer at all
                    end = min(end, max(self.total(), start_row + 1))
                self._suspect_end, rows = end, max(1, (end - start_row) // 2)
            else:
                return total, [*found]

    def total(self) -> int:
        """Returns the number of all entries, without reading one."""
        return self._search(PAST_THE_END, 1)[0]

    def _without(self, start_row: int, log_id: str) -> Page:
        self._suspect_end = 0
        name = f"log entry {log_id}" if log_id else f"entry {start_row + 1} since {_instant(self.start_ms)}"
        return self.total(), [Unreadable(name)]

    def _search(self, start_row: int, rows: int) -> tuple[int, list[dict[str, Any]]]:
        self.pace()
        max_bytes = MAX_BYTES_OF_A_PAGE if self.rows > 1 else MAX_RESPONSE_BYTES
        window = {"start_ms": self.start_ms, "end_ms": self.end_ms}
        return self.log.search_event_log(**window, start_row=start_row, rows=rows, max_bytes=max_bytes)


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z"
