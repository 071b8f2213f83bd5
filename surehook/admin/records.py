"""The event records, walked through a page at a time, for whoever must look at all of them.

There is no index by user or by key: accepting an event stays cheap, and no user's id stands anywhere else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import redis

from surehook.shared.keys import Keys
from surehook.shared.scripts import Script, text, texts

PAGE = 1000
AT_ONCE = 250  # a script holds up everybody else: half a millisecond
PORTION = 100
PORTION_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """What there is to know of a record without reading its body."""

    event_id: str
    user_id: str
    key_id: str
    body_bytes: int
    """0 where the body is gone: an erased event."""


class Records:
    """Read only."""

    def __init__(self, store: redis.Redis, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._look = Script("read_records", keys)

    def pages(self) -> Iterator[list[RecordSummary]]:
        """Every record that is there from the beginning to the end, perhaps twice; of those that come or go in
        between, some.
        """
        cursor = 0
        while True:
            cursor, found = self._store.scan(cursor, match=self._keys.event("*"), count=PAGE)
            yield list(self._outlines([key.removeprefix(self._keys.event("")) for key in texts(found)]))
            if cursor == 0:
                return

    def bodies(
        self, outlines: Sequence[RecordSummary], portion: int = PORTION
    ) -> Iterator[list[tuple[RecordSummary, str, bytes]]]:
        """Outlines with their key's fingerprint and their body as they are now; a few at a time, since a body may be
        large.
        """
        waiting = [outline for outline in outlines if outline.body_bytes]
        while waiting:
            count = size = 0
            for outline in waiting[:portion]:
                size += outline.body_bytes
                if count and size > PORTION_BYTES:
                    break
                count += 1
            taken, waiting = waiting[:count], waiting[count:]
            replies = self._look.run(self._store, 1, *(outline.event_id for outline in taken))
            read = zip(taken, replies, strict=True)
            yield [(outline, text(key_id), body) for outline, (_, key_id, body) in read if body is not None]

    def _outlines(self, event_ids: Sequence[str]) -> Iterator[RecordSummary]:
        for start in range(0, len(event_ids), AT_ONCE):
            ids = event_ids[start : start + AT_ONCE]
            for event_id, (user_id, key_id, size) in zip(ids, self._look.run(self._store, 0, *ids), strict=True):
                yield RecordSummary(event_id, text(user_id), text(key_id), size)
