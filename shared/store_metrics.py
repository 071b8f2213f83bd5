"""Metrics read from the store at each scrape: queue depth and age, dead letters, the ledger."""

import json
import logging
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError, ResponseError

from surehook.shared.keys import Keys
from surehook.shared.limits import WAIT_REASONS
from surehook.shared.scripts import Script, text
from surehook.shared.settings import Settings
from surehook.shared.stats import QueueStats, StatsReader
from surehook.shared.store import connect

log = logging.getLogger(__name__)

SCRAPE_TIMEOUT_SECONDS = 2.0
MOST_GROUPS_COUNTED = 1000
MISSED_STATES = ("recovered", "too_old", "too_large", "unusable", "interrupted", "contradicted", "unreadable")


class StoreGauges(Collector):
    """Metrics that are read at each scrape. Every process reports the same store, so take max(), not sum()."""

    def __init__(self, settings: Settings) -> None:
        store = connect(settings, timeout_seconds=SCRAPE_TIMEOUT_SECONDS)
        keys = Keys(settings.key_prefix)
        self._store, self._keys = store, keys
        self._stats = StatsReader(store, keys)
        self._count_groups = Script("count_groups", keys)
        self._max_backlog = settings.max_backlog

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        try:
            yield from list(self._read())
        except (RedisError, OSError) as exc:
            log.warning("store metrics unavailable", extra={"error_type": type(exc).__name__})

    def _read(self) -> Iterator[Metric]:
        stats = self._stats.read()
        depth = GaugeMetricFamily("surehook_queue_depth", "Jobs waiting", labels=["queue"])
        running = GaugeMetricFamily("surehook_running", "Jobs that a worker has claimed", labels=["queue"])
        age = GaugeMetricFamily("surehook_oldest_waiting_seconds", "Age of the oldest waiting job", labels=["queue"])
        scheduled = GaugeMetricFamily("surehook_scheduled", "Jobs scheduled for a later retry", labels=["queue"])
        deferred = GaugeMetricFamily("surehook_deferred", "Jobs that wait for their turn", labels=["queue"])
        dead = GaugeMetricFamily("surehook_dead_letters", "Dead letters", labels=["queue"])
        paused = GaugeMetricFamily("surehook_queue_paused", "1 while paused by an operator", labels=["queue"])
        for queue in stats.queues:
            depth.add_metric([queue.name], queue.waiting)
            running.add_metric([queue.name], queue.running)
            age.add_metric([queue.name], queue.oldest_waiting_seconds)
            scheduled.add_metric([queue.name], queue.scheduled)
            deferred.add_metric([queue.name], queue.deferred)
            dead.add_metric([queue.name], queue.dead)
            paused.add_metric([queue.name], int(queue.is_paused or stats.is_suspended))
        yield from (depth, running, age, scheduled, deferred, dead, paused)
        yield from _limits(stats.queues)
        yield from self._memory()
        yield GaugeMetricFamily("surehook_open_events", "Events not closed", value=stats.open)
        yield GaugeMetricFamily(
            "surehook_backlog_limit",
            "MAX_BACKLOG: events that may wait or run, and dead letters that may be there beside them",
            value=self._max_backlog,
        )
        yield GaugeMetricFamily(
            "surehook_orphans",
            "Unresolved effects of transactions that were answered with a refusal",
            value=self._store.zcard(self._keys.orphans),
        )
        ledger = GaugeMetricFamily("surehook_ledger_events", "Events since the beginning", labels=["entry"])
        for entry in ("accepted", "done", "discarded", "erased", "orphaned", "replayed"):
            ledger.add_metric([entry], getattr(stats, entry))
        yield ledger
        yield from self._reconciled()
        yield from self._operating()
        yield GaugeMetricFamily(
            "surehook_ledger_imbalance",
            "Events that are wrong according to the counts; `surehook ledger` names them",
            value=stats.imbalance,
        )

    def _operating(self) -> Iterator[Metric]:
        """The failure groups, and how far the index of closed events is behind."""
        yield GaugeMetricFamily(
            "surehook_failure_groups",
            f"Ways in which handlers fail, with dead letters now; at most {MOST_GROUPS_COUNTED:,} are counted",
            value=int(self._count_groups.run(self._store, MOST_GROUPS_COUNTED)),
        )
        yield GaugeMetricFamily(
            "surehook_index_unfinished_events",
            "Closed events that cannot be found by their e-mail address yet",
            value=self._store.scard(self._keys.index_unfinished),
        )
        is_complete = text(self._store.hget(self._keys.index_state, "complete")) == "1"
        yield GaugeMetricFamily(
            "surehook_index_complete",
            "0 while events that were closed before there was an index are still being added to it",
            value=int(is_complete or not any(self._store.hmget(self._keys.ledger, "done", "discarded"))),
        )

    def _reconciled(self) -> Iterator[Metric]:
        """The last statement of `surehook reconcile`; nothing before its first run."""
        mark, statement = self._store.hmget(self._keys.reconciled, "until", "statement")
        counts = {} if statement is None else json.loads(statement)
        # Runs for webhooks that were chosen by id have no mark of that name.
        until = counts.get("decided_until") if mark is None else int(mark)
        if until is not None:
            yield GaugeMetricFamily(
                "surehook_reconciled_until_seconds",
                "Unix time up to which FusionAuth's event log was compared with ours",
                value=until / 1000,
            )
        if counts:
            missed = GaugeMetricFamily("surehook_missed_events", "The last reconciliation", labels=["state"])
            for state in MISSED_STATES:
                missed.add_metric([state], counts.get(state, 0))
            yield missed
            yield GaugeMetricFamily(
                "surehook_missed_events_complete",
                "1 if the last reconciliation found nothing that a person has to look at",
                value=int(counts["complete"]),
            )

    def _memory(self) -> Iterator[Metric]:
        try:
            memory: Any = self._store.info("memory")
        except ResponseError:  # the account may not use INFO; every other metric is shown
            return
        yield GaugeMetricFamily("surehook_store_memory_bytes", "Memory the store uses", value=memory["used_memory"])
        yield GaugeMetricFamily(
            "surehook_store_memory_limit_bytes", "The store's maxmemory; 0: none", value=memory["maxmemory"]
        )


def _limits(queues: Iterable[QueueStats]) -> Iterator[Metric]:
    """For the own queues of handlers with limits."""
    breaker = GaugeMetricFamily("surehook_breaker_open", "1 while a queue's circuit breaker is open", labels=["queue"])
    held_back = GaugeMetricFamily(
        "surehook_queue_held_back", "1 while jobs wait because of a limit", labels=["queue", "reason"]
    )
    for queue in queues:
        if queue.limits is None:
            continue
        breaker.add_metric([queue.name], int(queue.limits.breaker_open_seconds is not None))
        for reason in WAIT_REASONS:
            held_back.add_metric([queue.name, reason], int(queue.waiting > 0 and queue.limits.waits_for == reason))
    yield from (breaker, held_back)
