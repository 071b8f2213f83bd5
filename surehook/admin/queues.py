"""Queues as an operator handles them: looked at, paused, resumed."""

import redis

from surehook.shared.errors import NotFound
from surehook.shared.keys import Keys
from surehook.shared.stats import BooksReader, QueueBooks


class Queues:
    """The queues that jobs of ours are or were on."""

    def __init__(self, store: redis.Redis, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._books = BooksReader(store, keys)

    def all(self) -> tuple[QueueBooks, ...]:
        return self._books.read().queues

    @property
    def is_suspended(self) -> bool:
        """Whether `rq suspend` stops all workers, whatever is paused here."""
        return self._books.read().is_suspended

    def pause(self, name: str) -> bool:
        """Workers take nothing more from it. False: it was paused already."""
        self._refuse_unknown(name)
        return bool(self._store.sadd(self._keys.paused, name))

    def resume(self, name: str) -> bool:
        """False: it was not paused."""
        if self._store.srem(self._keys.paused, name):
            return True
        self._refuse_unknown(name)
        return False

    def _refuse_unknown(self, name: str) -> None:
        names = [queue.name for queue in self.all()]
        if name not in names:
            raise NotFound(f"there is no queue {name}; there are: {', '.join(names)}")
