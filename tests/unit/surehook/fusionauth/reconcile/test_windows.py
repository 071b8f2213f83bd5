"""A period of the event log is read whole, in windows that are narrow where it is full."""

from typing import Any

import pytest

from surehook.fusionauth.log_pages import MAX_BYTES_OF_A_PAGE
from surehook.fusionauth.reconcile.windows import FIRST_WINDOW_MS, MAX_ROWS_OF_A_WINDOW, read_windows
from surehook.fusionauth.transport import (
    MAX_RESPONSE_BYTES,
    AnswerTooLarge,
    FusionAuthError,
    PageUnreadable,
    SearchTooBroad,
)

HOUR = 3_600_000


class Log:
    """An event log in memory, whose pages may run short."""

    def __init__(self, instants: list[int], *, page_limit: int = 500, drops: int = 0) -> None:
        self.rows: list[dict[str, Any]] = [
            {"id": str(n), "sequence": n, "insertInstant": at} for n, at in enumerate(sorted(instants), 1)
        ]
        self.page_limit, self.drops = page_limit, drops
        self.searches: list[tuple[int, int, int]] = []

    def search_event_log(
        self, *, start_ms: int, end_ms: int, start_row: int, rows: int, max_bytes: int = 0
    ) -> tuple[int, list[dict[str, Any]]]:
        found = [row for row in self.rows if start_ms <= row["insertInstant"] < end_ms]
        self.searches.append((start_ms, end_ms, len(found)))
        if self.drops:  # the retention deletes old rows while we read
            self.drops -= 1
            self.rows = self.rows[1:]
        return len(found), found[start_row : start_row + min(rows, self.page_limit)]


def read(log: Log, end: int) -> list[int]:
    return [row["sequence"] for window in read_windows(log, 0, end) for row in window.rows]


@pytest.mark.parametrize("page_limit", [1, 7, 499, 500])
def test_every_entry_is_read_once_and_in_order_though_pages_run_short(page_limit: int) -> None:
    instants = [n * 7919 % HOUR for n in range(1200)]

    assert read(Log(instants, page_limit=page_limit), HOUR) == list(range(1, 1201))


def test_a_full_window_is_halved_and_an_empty_one_grows() -> None:
    burst = [10 * HOUR] * 10 + [10 * HOUR + n % 60_000 for n in range(20_000)]
    log = Log(burst)

    assert len(read(log, 48 * HOUR)) == len(burst)

    read_rows = [count for _, _, count in log.searches]
    assert max(end - start for start, end, _ in log.searches) > FIRST_WINDOW_MS
    assert sum(count > MAX_ROWS_OF_A_WINDOW for count in read_rows) < 30
    assert len(log.searches) < 250


def test_one_full_millisecond_is_read_too() -> None:
    log = Log([5] * (MAX_ROWS_OF_A_WINDOW + 1))

    assert len(read(log, 10)) == MAX_ROWS_OF_A_WINDOW + 1


def test_rows_that_the_retention_deletes_between_two_pages_hide_no_others() -> None:
    """A deleted row moves all others up by one, so that a page would begin one row too late."""
    log = Log(list(range(1500)), drops=2)

    assert set(range(3, 1501)) <= set(read(log, 1500))


class Heavy(Log):
    """A log in which one entry is an import as large as FusionAuth allows."""

    def __init__(self, instants: list[int], heavy: int, size: int) -> None:
        super().__init__(instants)
        self.heavy, self.size = heavy, size
        self.largest = 0

    def search_event_log(
        self, *, start_ms: int, end_ms: int, start_row: int, rows: int, max_bytes: int = 0
    ) -> tuple[int, list[dict[str, Any]]]:
        total, found = super().search_event_log(start_ms=start_ms, end_ms=end_ms, start_row=start_row, rows=rows)
        size = sum(self.size if row["sequence"] == self.heavy else 3_000 for row in found)
        if size > max_bytes:
            raise AnswerTooLarge("too much")
        self.largest = max(self.largest, len(found)) if size > MAX_BYTES_OF_A_PAGE else self.largest
        return total, found


def test_a_large_import_is_read_alone_and_the_rest_in_pages() -> None:
    log = Heavy([n * 61 for n in range(3000)] + [50_000] * 20, heavy=1200, size=64 * 1024 * 1024)

    assert read(log, HOUR) == list(range(1, 3021))
    assert log.largest == 1
    assert len(log.searches) < 150


def test_an_entry_that_is_too_large_to_be_read_is_named_and_hides_no_others() -> None:
    windows = [*read_windows(Heavy([1, 2, 3], heavy=2, size=MAX_RESPONSE_BYTES + 1), 0, HOUR)]

    assert [row["sequence"] for window in windows for row in window.rows] == [1, 3]
    assert [each.name for window in windows for each in window.unreadable] == ["entry 1 since 1970-01-01 00:00:00.002Z"]


class Slow(Log):
    """A log that is too slow for any search."""

    def search_event_log(self, **_: Any) -> tuple[int, list[dict[str, Any]]]:
        raise SearchTooBroad("too slow")


def test_a_log_that_is_too_slow_is_an_error_and_no_gap() -> None:
    with pytest.raises(SearchTooBroad):
        read(Slow([1, 2, 3]), HOUR)


class Damaged(Log):
    """A log in which pages with some of the entries cannot be read."""

    def __init__(self, instants: list[int], bad: set[int], **more: Any) -> None:
        super().__init__(instants, **more)
        self.bad = bad

    def search_event_log(self, **search: Any) -> tuple[int, list[dict[str, Any]]]:
        total, found = super().search_event_log(**search)
        if bad := [row["id"] for row in found if row["sequence"] in self.bad]:
            raise PageUnreadable("odd", bad[0] if search["rows"] == 1 else "")
        return total, found


@pytest.mark.parametrize(
    "bad",
    [{1}, {1200}, {500}, {501}, {7, 8, 9}, {3, 700, 1199}, set(range(1, 1201, 97))],
    ids=["the first", "the last", "at a page's end", "at a page's start", "neighbours", "far apart", "many"],
)
@pytest.mark.parametrize("page_limit", [7, 500])
def test_entries_that_cannot_be_read_are_named_and_hide_no_others(bad: set[int], page_limit: int) -> None:
    log = Damaged([n * 7919 % HOUR for n in range(1200)], bad, page_limit=page_limit)

    windows = [*read_windows(log, 0, HOUR)]

    assert [row["sequence"] for window in windows for row in window.rows] == sorted({*range(1, 1201)} - bad)
    assert {each.name for window in windows for each in window.unreadable} == {f"log entry {each}" for each in bad}


def test_an_entry_that_cannot_be_read_is_found_by_halves() -> None:
    burst = [5] * 1200
    sound, damaged = Log(burst), Damaged(burst, {777})
    read(sound, 10)
    read(damaged, 10)

    assert len(damaged.searches) < len(sound.searches) + 25


def test_entries_that_cannot_be_read_are_all_named_while_the_retention_deletes_others() -> None:
    log = Damaged(list(range(1500)), {900, 1400}, drops=2)

    windows = [*read_windows(log, 0, 1500)]

    assert set(range(3, 1501)) - {900, 1400} <= {row["sequence"] for window in windows for row in window.rows}
    assert {each.name for window in windows for each in window.unreadable} == {"log entry 900", "log entry 1400"}


def test_a_log_of_which_nothing_can_be_read_is_an_error_and_no_gap() -> None:
    class Gone(Log):
        def search_event_log(self, **search: Any) -> tuple[int, list[dict[str, Any]]]:
            super().search_event_log(**search)
            raise PageUnreadable("a page of a proxy")

    log = Gone([1, 2, 3])

    with pytest.raises(FusionAuthError, match="a page of a proxy"):
        read(log, HOUR)
    assert len(log.searches) == 2


def test_pages_that_never_add_up_are_an_error_and_no_silent_gap() -> None:
    class Lying(Log):
        def search_event_log(
            self, *, start_ms: int, end_ms: int, start_row: int, rows: int, max_bytes: int = 0
        ) -> tuple[int, list[dict[str, Any]]]:
            total, found = super().search_event_log(start_ms=start_ms, end_ms=end_ms, start_row=start_row, rows=rows)
            return total + 1, found

    with pytest.raises(FusionAuthError, match="holds 4 entries"):
        read(Lying([1, 2, 3]), 10)


def test_a_total_that_is_far_from_the_truth_is_not_asked_for_page_by_page() -> None:
    class Boasting(Log):
        def search_event_log(self, **search: Any) -> tuple[int, list[dict[str, Any]]]:
            _, found = super().search_event_log(**search)
            return 10**12, found

    log = Boasting([0, 1, 2])

    with pytest.raises(FusionAuthError, match="holds 1000000000000 entries"):
        read(log, 10)
    assert len(log.searches) < 50


def test_sequences_that_are_no_numbers_stop_no_run() -> None:
    log = Log([1, 2, 3])
    for row, odd in zip(log.rows, ("first", None, float("inf")), strict=True):
        row["sequence"] = odd

    assert len(read(log, 10)) == 3


def test_an_empty_period_asks_nothing() -> None:
    log = Log([1])

    assert read(log, 0) == []
    assert log.searches == []
