"""The handlers that workers have announced, with the counts of their runs."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from surehook.shared.keys import Keys
from surehook.shared.minutes import HandlerCounts, Minutes
from surehook.shared.scripts import text

MINUTES = 60
# A worker announces its handlers every minute.
GONE_AFTER_SECONDS = 150
DONE = frozenset({"done", "unchanged", "outdated", "rejected", "later"})
SLOWEST = 0.95


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
    return reports, dict(unhandled.most_common())


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
