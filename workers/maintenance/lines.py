"""Lets lines of ordered jobs go on whose state was lost, because a key was deleted or changed by hand."""

import logging
from collections.abc import Iterable
from typing import Any

import redis

from surehook.shared.keys import Keys
from surehook.shared.scripts import Script

log = logging.getLogger(__name__)

PAGE = 200


class Lines:
    """Checks the line of every deferred job. One process at a time does, the one that sweeps."""

    def __init__(self, store: redis.Redis, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._script = Script("sweep_order", keys)

    def mend(self, queues: Iterable[str]) -> None:
        mended = 0
        for queue in queues:
            cursor = 0
            while True:
                reply: Any = self._store.zscan(self._keys.rq_deferred(queue), cursor, count=PAGE)
                cursor, members = reply
                mended += self._script.run(self._store, queue, *(member for member, _ in members))
                if not cursor:
                    break
        if mended:
            log.warning("lines of ordered jobs mended", extra={"count": mended})
