"""Finds events, the newest first: for `surehook events` and for the pages.

Open events come from the open set, closed ones from the index that is written when an event is closed. A source yields
candidates, with an instant that no later candidate is later than; what is found is compared with its record, so that a
row that lies is not shown.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice

import redis

from surehook.admin.counts import Count, Portion, add_up
from surehook.admin.cursors import cursor_of, order_of, position_of
from surehook.admin.emails import Emails
from surehook.admin.event_records import EventFilter, EventRecord, RecordReader, milliseconds_of
from surehook.admin.index_reader import IndexReader, RowFilter
from surehook.admin.newest import Batch, Candidate, Newest, newest
from surehook.admin.open_events import OpenEvents
from surehook.shared.encryption import BodyCipher
from surehook.shared.event_index import PERSON_BYTES, WORD_BYTES, short_hash
from surehook.shared.keys import Keys
from surehook.shared.scripts import text

AT_MOST = 10_000
COUNTED_AT_ONCE = 500
READ_AT_ONCE = 100
LONGEST_ID = 36
UUID_DASHES = (8, 13, 18, 23)


@dataclass(frozen=True, slots=True)
class Page:
    """Some events, the newest first."""

    events: tuple[EventRecord, ...]
    next_cursor: str
    """Leads to the next older ones; "" if there are none."""


class EventSearch:
    """Reads; changes nothing."""

    def __init__(self, store: redis.Redis, keys: Keys, cipher: BodyCipher) -> None:
        self._store = store
        self._keys = keys
        self._emails = Emails(store, keys, cipher)
        self._reader = RecordReader(store, keys)
        self._index = IndexReader(store, keys)
        self._open = OpenEvents(store, keys, cipher)

    def page(self, wanted: EventFilter, *, limit: int = 100, cursor: str = "") -> Page:
        """
        Raises:
            BadCursor: the cursor is none that was given out.
            EmailsUnreadable: the filter has an address, and the key to find it is missing.
        """
        before = position_of(cursor) if cursor else None
        # Open ones first: an event that is closed between the two steps is then found twice, and not missed.
        found = {event.event_id: event for event in self._newest_open(wanted, limit + 1, before)}
        found |= {event.event_id: event for event in self._newest_closed(wanted, limit + 1, before)}
        events = sorted(found.values(), key=order_of, reverse=True)
        is_last = len(events) <= limit
        return Page(tuple(events[:limit]), "" if is_last else cursor_of(events[limit - 1]))

    def each(self, wanted: EventFilter) -> Iterator[EventRecord]:
        """All that match, a thousand at a time."""
        cursor = ""
        while True:
            page = self.page(wanted, limit=1000, cursor=cursor)
            yield from page.events
            cursor = page.next_cursor
            if not cursor:
                return

    def count(self, wanted: EventFilter, at_most: int | None = AT_MOST) -> Count:
        """Counts until there are more than `at_most`, or it takes too long; None: counts all.

        Raises:
            EmailsUnreadable: as `page`.
        """
        rows = self._row_filter(wanted)
        return add_up(chain(self._open_portions(wanted, rows.until_ms), self._closed_portions(wanted, rows)), at_most)

    def count_with(self, page: Page, wanted: EventFilter, cursor: str = "") -> Count:
        """Counts what the list has whose page after `cursor` is known."""
        if not cursor and not page.next_cursor:
            return Count(len(page.events), is_more=False)
        counted = self.count(wanted)
        return Count(max(counted.number, len(page.events)), counted.is_more)

    def beginning_with(self, some_id: str, at_most: int = 20) -> list[EventRecord]:
        """The events whose id begins with the given characters, at least one, the newest first."""
        some_id = some_id.lower()
        if not _may_begin_an_id(some_id):
            return []
        if len(some_id) == LONGEST_ID:
            return list(self._reader.read([some_id]))
        found = dict.fromkeys(self._open.beginning_with(some_id)[: at_most + 1])
        wanted = RowFilter(id_beginning=some_id.replace("-", ""))
        for segment, _ in self._index.segments(wanted):
            found |= dict.fromkeys(each.event_id for each in segment.candidates(segment.matching(wanted)))
            if len(found) > at_most:
                break
        return sorted(self._reader.read(list(found)), key=order_of, reverse=True)[:at_most]

    def is_complete(self) -> bool:
        """False while events that were closed before there was an index are still being added to it."""
        if text(self._store.hget(self._keys.index_state, "complete")) == "1":
            return True
        return not any(self._store.hmget(self._keys.ledger, "done", "discarded"))

    def _open_portions(self, wanted: EventFilter, until_ms: int | None) -> Iterator[Portion]:
        if not wanted.open_states:
            return
        has_address = wanted.email is not None or wanted.hashed_email is not None
        for candidates, _ in self._open.batches(wanted, until_ms):
            if not has_address and not wanted.states and wanted.group_id is None and wanted.handler is None:
                yield Portion(len(candidates))
                continue
            left = iter(candidates)
            while portion := list(islice(left, READ_AT_ONCE if has_address else COUNTED_AT_ONCE)):
                if has_address:
                    yield Portion(len(self._matching_open(wanted, portion)), read=len(portion))
                else:
                    ids = [candidate.event_id for candidate in portion]
                    yield Portion(self._open.count(wanted, until_ms, ids), looked_up=len(portion))

    def _closed_portions(self, wanted: EventFilter, rows: RowFilter) -> Iterator[Portion]:
        if not wanted.closed_states:
            return
        for segment, _ in self._index.segments(rows):
            matching = segment.matching(rows)
            certain = segment.certain(rows, matching)
            yield Portion(certain.bit_count())
            left = segment.candidates(matching & ~certain)
            while portion := list(islice(left, READ_AT_ONCE)):
                yield Portion(len(self._matching_closed(wanted, portion)), read=len(portion))

    def _newest_open(self, wanted: EventFilter, count: int, before: Candidate | None) -> list[EventRecord]:
        if not wanted.open_states:
            return []

        def batches(before: Candidate | None, _: Newest) -> Iterator[Batch]:
            return self._open.batches(wanted, _until_ms(wanted, before))

        return newest(batches, count, before, lambda candidates: self._matching_open(wanted, candidates))

    def _matching_open(self, wanted: EventFilter, candidates: list[Candidate]) -> list[EventRecord]:
        records = self._reader.read([candidate.event_id for candidate in candidates])
        found = [event for event in records if event.is_open and wanted.matches(event)]
        if wanted.email is None and wanted.hashed_email is None:
            return found
        named = self._open.with_email([event.event_id for event in found], self._emails.matcher(wanted))
        return [event for event in found if event.event_id in named]

    def _newest_closed(self, wanted: EventFilter, count: int, before: Candidate | None) -> list[EventRecord]:
        if not wanted.closed_states:
            return []
        rows = self._row_filter(wanted)

        def batches(before: Candidate | None, collected: Newest) -> Iterator[Batch]:
            until_ms = _until_ms(wanted, before)
            for segment, bound_ms in self._index.segments(replace(rows, until_ms=until_ms)):
                wanted_now = replace(rows, until_ms=until_ms, since_ms=max(rows.since_ms, collected.floor_ms))
                yield list(segment.candidates(segment.matching(wanted_now))), bound_ms

        return newest(batches, count, before, lambda candidates: self._matching_closed(wanted, candidates))

    def _matching_closed(self, wanted: EventFilter, candidates: list[Candidate]) -> list[EventRecord]:
        row_of = {candidate.event_id: candidate.number for candidate in candidates}
        return [
            event
            for event in self._reader.read([candidate.event_id for candidate in candidates])
            if event.row == row_of[event.event_id] and not event.is_open and wanted.matches(event)
        ]

    def with_hashed_email(self, wanted: EventFilter) -> EventFilter:
        """The filter without an address that can be read.

        Raises:
            EmailsUnreadable: as `page`.
        """
        return self._emails.hashed(wanted)

    def _row_filter(self, wanted: EventFilter) -> RowFilter:
        hashed_email = self._emails.hashed(wanted).hashed_email
        return RowFilter(
            type=_hash(wanted.event_type, WORD_BYTES),
            tenant=_hash(wanted.tenant_id, WORD_BYTES),
            application=_hash(wanted.application_id, WORD_BYTES),
            handler=_hash(wanted.handler, WORD_BYTES),
            user=_hash(wanted.user_id, PERSON_BYTES),
            email=None if hashed_email is None else bytes.fromhex(hashed_email),
            outcomes=wanted.closed_states if wanted.states else (),
            since_ms=max(0, int(milliseconds_of(wanted.since))) if wanted.since else 0,
            until_ms=_until_ms(wanted, None),
        )


def _until_ms(wanted: EventFilter, before: Candidate | None) -> int | None:
    until_ms = int(milliseconds_of(wanted.until)) if wanted.until else None
    if before is None:
        return until_ms
    return before.received_ms if until_ms is None else min(until_ms, before.received_ms)


def _hash(value: str | None, size: int) -> bytes | None:
    return None if value is None else short_hash(value, size)


def _may_begin_an_id(text_: str) -> bool:
    return 0 < len(text_) <= LONGEST_ID and all(
        character == "-" if position in UUID_DASHES else character in "0123456789abcdef"
        for position, character in enumerate(text_)
    )
