"""What the store tells of itself when Prometheus asks: depth, age, dead letters, the ledger."""

import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from shared.keys import EVENTS_QUEUE, RQ_QUEUES, Keys, rq_failed, rq_job, rq_queue, rq_scheduled
from shared.replies import text, texts
from shared.settings import Settings
from shared.store import connect

log = logging.getLogger(__name__)

SCRAPE_TIMEOUT_SECONDS = 2.0


class StoreGauges(Collector):
    """Read at each scrape. Every process that serves metrics shows the same store: take max(), not sum()."""

    def __init__(self, settings: Settings) -> None:
        self._keys = Keys(settings.key_prefix)
        self._store = connect(settings, timeout_seconds=SCRAPE_TIMEOUT_SECONDS)

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        try:
            yield from list(self._read())
        except (RedisError, OSError) as exc:
            log.warning("store gauges cannot be read", extra={"error_type": type(exc).__name__})

    def _read(self) -> Iterator[Metric]:
        found = {name.removeprefix(rq_queue("")) for name in texts(self._store.smembers(RQ_QUEUES))}
        depth = GaugeMetricFamily("surehook_queue_depth", "Jobs waiting", labels=["queue"])
        age = GaugeMetricFamily("surehook_oldest_waiting_seconds", "How long the first has waited", labels=["queue"])
        scheduled = GaugeMetricFamily("surehook_scheduled", "Jobs waiting for their time", labels=["queue"])
        dead = GaugeMetricFamily("surehook_dead_letters", "Dead letters", labels=["queue"])
        for queue in sorted(found | {EVENTS_QUEUE}):
            depth.add_metric([queue], self._store.llen(rq_queue(queue)))
            age.add_metric([queue], self._head_age(queue))
            scheduled.add_metric([queue], self._store.zcard(rq_scheduled(queue)))
            dead.add_metric([queue], self._store.zcard(rq_failed(queue)))
        yield from (depth, age, scheduled, dead)
        yield GaugeMetricFamily("surehook_open_events", "Events not closed", value=self._store.zcard(self._keys.open))
        ledger = GaugeMetricFamily("surehook_ledger_events", "Events since the beginning", labels=["entry"])
        for entry, count in self._store.hgetall(self._keys.ledger).items():
            ledger.add_metric([text(entry)], int(count))
        yield ledger

    def _head_age(self, queue: str) -> float:
        head = self._store.lindex(rq_queue(queue), 0)
        since = self._store.hget(rq_job(text(head)), "enqueued_at") if head else None
        if not since:
            return 0.0
        return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(text(since))).total_seconds())
