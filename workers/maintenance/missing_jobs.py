"""Looks a second time for jobs that a scan did not find, and queues again those that exist nowhere."""

from collections.abc import Callable, Sequence

import redis

from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import Script, texts
from surehook.workers.maintenance.job_index import JobScan

BATCH = 200
# Up to this number, jobs are looked up one by one, some milliseconds each in the store; more, in another scan.
FEW = 10


class MissingJobs:
    """A job is lost if two scans do not find it, and its event has not changed since the first scan began."""

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
        self._scan = JobScan(store, keys, on_page)
        self._script = Script("sweep", keys)

    def name(self, suspects: Sequence[str], *, since: str) -> list[str]:
        """The lost jobs, and the jobs of open events without a record. `since`: as in `Stats.read_at`."""
        return self._find(suspects, since, is_dry=True)

    def queue_again(self, suspects: Sequence[str], *, since: str) -> list[str]:
        """Queue the lost jobs again, and return them."""
        return self._find(suspects, since, is_dry=False)

    def _find(self, suspects: Sequence[str], since: str, *, is_dry: bool) -> list[str]:
        are_few = len(suspects) <= FEW
        missing = suspects if are_few else self._scan.missing(suspects)
        size = 1 if are_few else BATCH
        found: list[str] = []
        for start in range(0, len(missing), size):
            words = (EVENTS_QUEUE, self._handler_timeout, since, int(is_dry), int(are_few))
            reply = self._script.run(self._store, *words, *missing[start : start + size])
            found.extend(texts(reply))
            self._on_page(0)
        return found
