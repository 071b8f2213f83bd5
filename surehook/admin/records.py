"""Goes through all event records, a page at a time.

There is no index by user or by key: accepting an event stays cheap, and a user's id is stored in one place only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import redis

from surehook.shared.keys import Keys
from surehook.shared.scripts import Script, text, texts

PAGE = 1000
AT_ONCE = 250  # a script blocks the store: half a millisecond for these
PORTION = 100
PORTION_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """A record without its body."""

    event_id: str
    user_id: str
    key_id: str
    body_bytes: int
    """0 for an erased event."""


class Records:
    """Reads records; changes nothing."""

    def __init__(self, store: redis.Redis, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._look = Script("read_records", keys)

    def pages(self) -> Iterator[list[RecordSummary]]:
        """Returns every record that exists during the whole scan, perhaps twice, and some of the others."""
        cursor = 0
        while True:
            cursor, found = self._store.scan(cursor, match=self._keys.event("*"), count=PAGE)
            yield list(self._summaries([key.removeprefix(self._keys.event("")) for key in texts(found)]))
            if cursor == 0:
                return

    def bodies(
        self, summaries: Sequence[RecordSummary], portion: int = PORTION
    ) -> Iterator[list[tuple[RecordSummary, str, bytes]]]:
        """Returns summaries with their current key fingerprint and body, a few at a time, since a body may be large."""
        waiting = [summary for summary in summaries if summary.body_bytes]
        while waiting:
            count = size = 0
            for summary in waiting[:portion]:
                size += summary.body_bytes
                if count and size > PORTION_BYTES:
                    break
                count += 1
            taken, waiting = waiting[:count], waiting[count:]
            replies = self._look.run(self._store, 1, *(summary.event_id for summary in taken))
            read = zip(taken, replies, strict=True)
            yield [(summary, text(key_id), body) for summary, (_, key_id, body) in read if body is not None]

    def _summaries(self, event_ids: Sequence[str]) -> Iterator[RecordSummary]:
        for start in range(0, len(event_ids), AT_ONCE):
            ids = event_ids[start : start + AT_ONCE]
            for event_id, (user_id, key_id, size) in zip(ids, self._look.run(self._store, 0, *ids), strict=True):
                yield RecordSummary(event_id, text(user_id), text(key_id), size)
