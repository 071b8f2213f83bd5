"""Keeps the index of closed events true.

A script that closes an event adds its row in the same step. Four things are done here:

1. Complete rows that a script without the event's body has added: they lack the hash of the e-mail address.
2. Walk through all records, and add the rows that are missing: an older version closed the event, or a key was deleted
   by hand. The first walk, on a store from before the index, goes on without a pause; later ones take some minutes.
3. Walk through all rows, and clear those whose record says otherwise.
4. Summarize the segments that are full, so that searches leave out most of them.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from secrets import token_hex
from typing import Any, NamedTuple

import redis

from surehook.shared.encryption import BodyCipher
from surehook.shared.envelope import parse_event
from surehook.shared.errors import BodyDamaged, KeyMissing, MalformedBody
from surehook.shared.event_index import (
    NO_PERSON,
    ROW_BYTES,
    ROWS_A_SEGMENT,
    email_hash,
    email_in,
    pack_facts,
    word_hashes,
)
from surehook.shared.index_key import IndexKey, read_or_none
from surehook.shared.index_summary import LEAST_ROWS, summary_of
from surehook.shared.keys import Keys
from surehook.shared.scripts import Argument, Script, text, texts, whole_number
from surehook.shared.settings import Settings
from surehook.workers.background import PeriodicThread
from surehook.workers.queue.index_facts import IndexFacts

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
LOCK_MS = 1_900
FIRST_WALK_SECONDS = 0.5  # in each tick
KEYS_A_CALL = 1_000
AT_ONCE = 100
PORTION_BYTES = 4 * 1024 * 1024
ROWS_A_CALL = 256
UNFINISHED_A_TICK = 5_000
SUMMARIES_A_TICK = 8
PLACEHOLDER_MS = 60_000


class Unindexed(NamedTuple):
    """A closed event that the index does not show completely."""

    event_id: str
    event_type: str
    tenant_id: str
    application_ids: str
    user_id: str
    received_ms: int
    key_id: str
    body_bytes: int


class IndexUpkeep:
    """The four steps, each a part at a time. It is safe to repeat them, and to take them in several processes."""

    def __init__(self, store: redis.Redis, keys: Keys, settings: Settings) -> None:
        self._store = store
        self._keys = keys
        self._retention_seconds = settings.retention
        self._cipher = BodyCipher(settings.encryption_keys)
        self.key = IndexKey(store, keys, self._cipher)
        self._unindexed, self._add = Script("unindexed", keys), Script("index_events", keys)
        self._check_rows, self._mark = Script("check_rows", keys), Script("index_mark", keys)
        self._set_if_absent, self._summary = Script("set_if_absent", keys), Script("index_summary", keys)

    def finish_rows(self) -> int:
        """Completes rows that were added without the address. Returns how many events were looked at."""
        popped: Any = self._store.spop(self._keys.index_unfinished, AT_ONCE)
        if popped:
            self._index(texts(popped))
        return len(popped or ())

    def walk(self) -> int | None:
        """Looks at some records and adds missing rows. Returns their number, None at the end of a walk."""
        cursor = int(self._store.hget(self._keys.index_state, "cursor") or 0)
        cursor, found = self._store.scan(cursor, match=self._keys.event("*"), count=KEYS_A_CALL)
        event_ids = [key.removeprefix(self._keys.event("")) for key in texts(found)]
        added = sum(self._index(event_ids[start : start + AT_ONCE]) for start in range(0, len(event_ids), AT_ONCE))
        self._mark.run(self._store, "cursor", cursor)
        return added if cursor else None

    def is_first_walk(self) -> bool:
        return text(self._store.hget(self._keys.index_state, "complete")) != "1"

    def end_first_walk(self) -> None:
        self._mark.run(self._store, "complete", 1)

    def check_segment(self) -> int:
        """Clears the rows of one segment, the next after the last call's, that lie. Returns how many did."""
        segments = self._segments()
        if not segments:
            return 0
        last = int(self._store.hget(self._keys.index_state, "checked") or -1)
        segment = next((each for each in segments if each > last), segments[0])
        lies = sum(
            int(self._check_rows.run(self._store, segment, first, ROWS_A_CALL, self._retention_seconds))
            for first in range(0, ROWS_A_SEGMENT, ROWS_A_CALL)
        )
        self._mark.run(self._store, "checked", segment)
        self._summarize(segments[:-1], segment)
        return lies

    def summarize(self) -> None:
        """Summarizes the newest segments that are written no more; a check does it with the others."""
        finished = self._segments()[:-1]
        for segment in finished[-SUMMARIES_A_TICK:]:
            self._summarize(finished, segment)

    def _segments(self) -> list[int]:
        return sorted(map(int, texts(self._store.zrange(self._keys.index_segments, 0, -1))))

    def _summarize(self, finished: Sequence[int], segment: int) -> None:
        summary = self._keys.index_summary(segment)
        if segment not in finished or self._store.exists(summary):
            return
        placeholder = token_hex(8)
        is_ours, _ = self._set_if_absent.run(self._store, summary, placeholder, PLACEHOLDER_MS)
        rows: Any = self._store.get(self._keys.index(segment)) if is_ours else None
        if rows and len(rows) >= LEAST_ROWS * ROW_BYTES:
            self._summary.run(self._store, segment, placeholder, summary_of(rows))

    def _index(self, event_ids: Sequence[str]) -> int:
        if not event_ids:
            return 0
        found = [_unindexed(row) for row in self._unindexed.run(self._store, *event_ids)]
        key = read_or_none(self.key) if found else None
        arguments: list[Argument] = []
        for event, body in self._with_bodies(found):
            words = word_hashes(event.event_type, event.tenant_id, event.application_ids, None)
            facts = pack_facts(words, event.user_id, self._hashed_email(event, body, key), event.received_ms)
            arguments += (event.event_id, facts)
        return int(self._add.run(self._store, self._retention_seconds, *arguments)) if arguments else 0

    def _with_bodies(self, events: Sequence[Unindexed]) -> Iterator[tuple[Unindexed, bytes]]:
        waiting = list(events)
        while waiting:
            count = size = 0
            for event in waiting:
                size += event.body_bytes
                if count and size > PORTION_BYTES:
                    break
                count += 1
            taken, waiting = waiting[:count], waiting[count:]
            pipeline = self._store.pipeline(transaction=False)
            for event in taken:
                pipeline.hget(self._keys.event(event.event_id), "body")
            for event, body in zip(taken, pipeline.execute(), strict=True):
                yield event, body or b""

    def _hashed_email(self, event: Unindexed, body: bytes, key: bytes | None) -> bytes | None:
        """None: a process with other keys may find out."""
        if not body:
            return NO_PERSON  # it has expired
        try:
            email = email_in(parse_event(self._cipher.decrypt(body, event.key_id)))
        except (MalformedBody, BodyDamaged):
            return NO_PERSON
        except KeyMissing:
            return None
        if not email:
            return NO_PERSON
        return None if key is None else email_hash(key, email)


class IndexKeeper(PeriodicThread):
    """Runs in every process for ordinary events; one at a time walks."""

    def __init__(
        self,
        store: redis.Redis,
        keys: Keys,
        settings: Settings,
        facts: IndexFacts,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("index", EVERY_SECONDS)
        self._store = store
        self._keys = keys
        self._facts = facts
        self._clock = clock
        self._upkeep = IndexUpkeep(store, keys, settings)
        self._lock = Script("set_if_absent", keys)

    def tick(self) -> None:
        self._facts.load_key()
        for _ in range(0, UNFINISHED_A_TICK, AT_ONCE):
            if not self._upkeep.finish_rows():
                break
        is_ours, _ = self._lock.run(self._store, self._keys.index_lock, "", LOCK_MS)
        if is_ours:
            self._walk()

    def _walk(self) -> None:
        if self._upkeep.is_first_walk():
            started_at = self._clock()
            while self._clock() - started_at < FIRST_WALK_SECONDS:
                if self._upkeep.walk() is None:
                    self._upkeep.end_first_walk()
                    return
            return
        self._upkeep.summarize()
        missing, lies = self._upkeep.walk(), self._upkeep.check_segment()
        if missing or lies:
            log.warning("index of closed events mended", extra={"count": (missing or 0) + lies})


def _unindexed(row: Sequence[Any]) -> Unindexed:
    event_id, event_type, tenant, application, user, received_at, key_id, size = row
    return Unindexed(
        event_id=text(event_id),
        event_type=text(event_type),
        tenant_id=text(tenant),
        application_ids=text(application),
        user_id=text(user),
        received_ms=whole_number(received_at),
        key_id=text(key_id),
        body_bytes=int(size),
    )
