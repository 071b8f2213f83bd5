"""Jobs that a census did not meet: which of them are nowhere indeed, and queueing those again."""

from collections.abc import Callable, Sequence

import redis

from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import Script, texts
from surehook.workers.maintenance.job_index import JobScan

AT_ONCE = 200
# So few are looked for one by one, which takes the store some milliseconds each; more in a reading of everything.
FEW = 10


class LostJobs:
    """The second look. A job that is in no place again, and has not moved since the first look began, is lost."""

    def __init__(
        self,
        store: redis.Redis,
        keys: Keys,
        *,
        handler_timeout: float,
        on_page: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._handler_timeout = f"{handler_timeout:g}"
        self._on_page = on_page
        self._census = JobScan(store, keys, on_page)
        self._script = Script("sweep", keys)

    def name(self, suspects: Sequence[str], *, since: str) -> list[str]:
        """Those that are lost, and those of open events whose record is gone. `since`: as `Books.read_at`."""
        return self._settle(suspects, since, is_dry=True)

    def queue_again(self, suspects: Sequence[str], *, since: str) -> list[str]:
        """Queue those that are lost; returns them."""
        return self._settle(suspects, since, is_dry=False)

    def _settle(self, suspects: Sequence[str], since: str, *, is_dry: bool) -> list[str]:
        are_few = len(suspects) <= FEW
        missing = suspects if are_few else self._census.missing(suspects)
        size = 1 if are_few else AT_ONCE
        found: list[str] = []
        for start in range(0, len(missing), size):
            words = (EVENTS_QUEUE, self._handler_timeout, since, int(is_dry), int(are_few))
            reply = self._script.run(self._store, *words, *missing[start : start + size])
            found.extend(texts(reply))
            self._on_page(0)
        return found
