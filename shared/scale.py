"""How many worker processes the waiting events need: `/scale` on the endpoint's metrics address, for an autoscaler."""

import logging
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from redis.exceptions import RedisError

from surehook.shared.keys import Keys
from surehook.shared.metrics_server import Answer
from surehook.shared.settings import Settings
from surehook.shared.stats import QueueStats, StatsReader
from surehook.shared.store import connect

log = logging.getLogger(__name__)

SCALE_PATH = "/scale"
READ_SECONDS = 2.0
# One process works on this many jobs before another one is wanted; `?jobs_per_process=` changes it.
JOBS_PER_PROCESS = 100
# There is always one: it also queues due retries and finds lost jobs.
FEWEST = 1
MOST_JOBS = 1_000_000


class Scale:
    """Reads the queues at each request. Paused ones count for nothing, because more workers could not empty them."""

    def __init__(self, settings: Settings) -> None:
        self._stats = StatsReader(connect(settings, timeout_seconds=READ_SECONDS), Keys(settings.key_prefix))

    def __call__(self, query: Mapping[str, str]) -> Answer:
        given = query.get("jobs_per_process", str(JOBS_PER_PROCESS))
        if unknown := sorted(set(query) - {"queue", "jobs_per_process"}):
            return HTTPStatus.BAD_REQUEST, {"error": f"expected queue or jobs_per_process, not {unknown[0]}"}
        if not (given.isascii() and given.isdigit() and 0 < int(given[:8]) <= MOST_JOBS):
            return HTTPStatus.BAD_REQUEST, {"error": f"jobs_per_process: expected a number from 1 to {MOST_JOBS}"}
        try:
            stats = self._stats.read()
        except (RedisError, OSError) as exc:
            log.warning("store unavailable for /scale", extra={"error_type": type(exc).__name__})
            return HTTPStatus.SERVICE_UNAVAILABLE, {"error": "the store is unavailable"}
        queues = [queue for queue in stats.queues if query.get("queue") in (None, queue.name)]
        return HTTPStatus.OK, scale_of(queues, int(given), is_suspended=stats.is_suspended)


def scale_of(queues: list[QueueStats], jobs_per_process: int, *, is_suspended: bool) -> dict[str, Any]:
    served = [] if is_suspended else [queue for queue in queues if not queue.is_paused]
    waiting = sum(queue.waiting for queue in served)
    running = sum(queue.running for queue in queues)
    return {
        "waiting": waiting,
        "running": running,
        "oldest_waiting_seconds": max((queue.oldest_waiting_seconds for queue in served), default=0.0),
        "wanted_processes": max(FEWEST, math.ceil((waiting + running) / jobs_per_process)),
    }
