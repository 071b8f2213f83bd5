"""Lists, pauses and resumes queues."""

import redis

from surehook.shared.errors import NotFound
from surehook.shared.keys import Keys
from surehook.shared.stats import QueueStats, Stats, StatsReader


class Queues:
    """The queues that have or had jobs of Surehook."""

    def __init__(self, store: redis.Redis, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._stats = StatsReader(store, keys)

    def all(self) -> tuple[QueueStats, ...]:
        return self.read().queues

    def read(self) -> Stats:
        return self._stats.read()

    def pause(self, name: str) -> bool:
        """Stops workers from fetching from it. Returns False if it was paused already."""
        self._require_known(name)
        return bool(self._store.sadd(self._keys.paused, name))

    def resume(self, name: str) -> bool:
        """Lets workers fetch from it again. Returns False if it was not paused."""
        if self._store.srem(self._keys.paused, name):
            return True
        self._require_known(name)
        return False

    def _require_known(self, name: str) -> None:
        names = [queue.name for queue in self.all()]
        if name not in names:
            raise NotFound(f"there is no queue {name}; there are: {', '.join(names)}")
