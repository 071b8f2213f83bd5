"""The handlers that workers have announced, with the counts of their runs."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import redis

from surehook.shared.keys import Keys
from surehook.shared.limits import own_queue
from surehook.shared.minutes import HandlerCounts, Minutes
from surehook.shared.scripts import text

MINUTES = 60
# A worker announces its handlers every minute.
GONE_AFTER_SECONDS = 150
DONE = frozenset({"done", "unchanged", "outdated", "rejected", "later"})
SLOWEST = 0.95
CHANGEABLE = ("concurrency=", "rate=")
OF_OWN_QUEUE = (*CHANGEABLE, "breaker")
CHANGED_BY = "queues limit"


@dataclass(frozen=True, slots=True)
class HandlerReport:
    """A handler, and its runs of the last hour."""

    name: str
    types: tuple[str, ...]
    queue: str
    retries: int
    timeout_seconds: float
    is_transactional: bool
    limits: tuple[str, ...]
    is_running: bool
    """A worker has announced it lately."""
    runs: int
    failures: int
    p50_seconds: float | None
    p95_seconds: float | None


def read_handlers(
    store: redis.Redis, keys: Keys, clock: Callable[[], float] = time.time
) -> tuple[list[HandlerReport], dict[str, int]]:
    """The handlers by name, and how often each type arrived in the last hour that no handler wants."""
    announced: Any = store.hgetall(keys.handlers)
    minute = int(clock() // 60)
    counts, unhandled = Minutes(store, keys).read(minute - MINUTES + 1, minute)
    now = clock()
    reports = [
        _report(text(name), json.loads(line), counts.get(text(name), HandlerCounts()), now)
        for name, line in sorted(announced.items())
    ]
    return [_with_set_limits(report, store, keys) for report in reports], dict(unhandled.most_common())


def _report(name: str, announced: dict[str, Any], counts: HandlerCounts, now: float) -> HandlerReport:
    return HandlerReport(
        name=name,
        types=tuple(announced["types"]),
        queue=announced["queue"],
        retries=announced["retries"],
        timeout_seconds=announced["timeout"],
        is_transactional=announced["transactional"],
        limits=tuple(announced["limits"]),
        is_running=now - announced["announced_at"] < GONE_AFTER_SECONDS,
        runs=counts.runs,
        failures=sum(number for outcome, number in counts.outcomes.items() if outcome not in DONE),
        p50_seconds=counts.quantile_seconds(0.5),
        p95_seconds=counts.quantile_seconds(SLOWEST),
    )


def _with_set_limits(report: HandlerReport, store: redis.Redis, keys: Keys) -> HandlerReport:
    """Replaces the limits of the code by those that an operator has set for the handler's own queue."""
    if not any(limit.startswith(OF_OWN_QUEUE) for limit in report.limits):
        return report
    known: Any = store.hmget(keys.limits(own_queue(report.queue, report.name)), "concurrency", "rate")
    changed = {name: text(value) for name, value in zip(CHANGEABLE, known, strict=True) if value is not None}
    kept = tuple(limit for limit in report.limits if not limit.startswith(tuple(changed)))
    return replace(report, limits=(*kept, *(f"{name}{value} ({CHANGED_BY})" for name, value in changed.items())))
