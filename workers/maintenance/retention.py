"""Deletes the bodies of closed events after `BODY_RETENTION`, and forgets their ids after `ID_RETENTION`.

It also forgets the ways in which handlers failed, `RETENTION` after the last dead letter.

Records expire by themselves. An id is remembered in the same step that closes its event, so there is no moment at which
it is unknown. Each step here is one script that stops after a bounded number of events, and several processes may run
it at once.
"""

import time

import redis

from surehook.shared.keys import Keys
from surehook.shared.scripts import Script, text
from surehook.shared.settings import Settings
from surehook.workers.background import PeriodicThread

EVERY_SECONDS = 2.0
# Each call takes the store a few milliseconds, and there are enough of them for 10,000 events a second.
EVENTS_A_CALL = 500
IDS_A_CALL = 5_000
GROUPS_A_CALL = 500
MOST_CALLS = 40
GROUPS_EVERY_SECONDS = 3600.0


class Retention(PeriodicThread):
    """Runs in every worker process."""

    def __init__(self, store: redis.Redis, keys: Keys, settings: Settings) -> None:
        super().__init__("retention", EVERY_SECONDS)
        self._store = store
        self._keys = keys
        self._body_seconds = settings.body_retention
        self._id_seconds = settings.id_retention
        self._drops_bodies = self._body_seconds < settings.retention
        self._group_seconds = settings.retention
        self._forget_groups, self._forget_groups_at = Script("forget_groups", keys), time.monotonic()
        self._drop_bodies, self._forget_ids = Script("drop_bodies", keys), Script("forget_ids", keys)

    def tick(self) -> None:
        self._publish_body_retention()
        for _ in range(MOST_CALLS):
            if int(self._drop_bodies.run(self._store, self._body_seconds, EVENTS_A_CALL)) < EVENTS_A_CALL:
                break
        for _ in range(MOST_CALLS):
            if not self._forget_ids.run(self._store, self._id_seconds, IDS_A_CALL):
                break
        if time.monotonic() >= self._forget_groups_at:
            for _ in range(MOST_CALLS):
                if int(self._forget_groups.run(self._store, self._group_seconds, GROUPS_A_CALL)) < GROUPS_A_CALL:
                    break
            self._forget_groups_at = time.monotonic() + GROUPS_EVERY_SECONDS

    def _publish_body_retention(self) -> None:
        """Tells the scripts that close events whether their bodies go before their records."""
        wanted = str(self._body_seconds) if self._drops_bodies else ""
        if text(self._store.get(self._keys.body_retention)) == wanted:
            return
        if wanted:
            self._store.set(self._keys.body_retention, wanted)
        else:
            self._store.delete(self._keys.body_retention)
