"""Checks of the queues: workers, pauses, backlog, dead letters, orphans, and the balance of the ledger."""

from collections.abc import Callable, Iterator

import redis

from surehook.fusionauth.doctor.findings import Finding, blocks, fine, loses, odd
from surehook.shared.keys import TRANSACTIONAL_QUEUE, Keys
from surehook.shared.plural import counted
from surehook.shared.settings import Settings
from surehook.shared.stats import QueueStats, Stats, StatsReader
from surehook.workers.handlers.registry import Registry

LATE_SECONDS = 300.0
MUCH = 0.8

Judge = Callable[[str, str, str, str], Finding]


def queue_findings(settings: Settings, registry: Registry | None, store: redis.Redis, keys: Keys) -> Iterator[Finding]:
    stats = StatsReader(store, keys).read()
    known = {queue.name: queue for queue in stats.queues}
    served = set(registry.queues) if registry is not None else set()
    used = served | {handler.queue for handler in registry or ()}
    for name in sorted(served):
        yield from _workers(name, known.get(name), settings, store, keys)
    for queue in stats.queues:
        yield from state_findings(queue, settings, is_used=queue.name in used or registry is None)
    yield from whole_findings(stats, settings)
    if orphans := store.zcard(keys.orphans):
        yield odd(
            "orphans",
            f"{counted(orphans, 'orphan', 'orphans')}: handlers succeeded, and FusionAuth was told that they did not.",
            "Your system and FusionAuth may disagree about these users.",
            "`surehook events list --state orphaned`, then `surehook events resolve ID`",
        )


def _workers(
    name: str, found: QueueStats | None, settings: Settings, store: redis.Redis, keys: Keys
) -> Iterator[Finding]:
    is_transactional = name == TRANSACTIONAL_QUEUE
    # Ingest relies on the heartbeat of these workers.
    workers = int(store.zcard(keys.available(name))) if is_transactional else found.workers if found else 0
    if workers:
        one, many = ("process decides", "processes decide") if is_transactional else ("thread works", "threads work")
        yield fine("worker", f"{counted(workers, one, many)} on the queue {name}.")
        return
    yield _judge(name)(
        "worker", f"No live worker on the queue {name}.", _stopped(name, settings), "start `surehook worker`"
    )


def state_findings(queue: QueueStats, settings: Settings, *, is_used: bool) -> Iterator[Finding]:
    if queue.is_paused:
        change = f"`surehook queues resume {queue.name}`"
        yield _judge(queue.name)("paused", f"The queue {queue.name} is paused.", _stopped(queue.name, settings), change)
    if queue.limits and queue.limits.breaker_open_seconds is not None:
        yield odd(
            "breaker",
            f"The breaker of {queue.name} has been open for {queue.limits.breaker_open_seconds / 60:,.0f} min.",
            "Its handler keeps failing: its events wait, and one of them is tried now and then.",
            "what the handler calls; `surehook queues list` says when the next one is tried",
        )
    minutes = queue.oldest_waiting_seconds / 60
    if queue.oldest_waiting_seconds > LATE_SECONDS:
        yield odd(
            "late",
            f"The oldest of {counted(queue.waiting, 'job', 'jobs')} on {queue.name} has waited {minutes:,.0f} min.",
            "Handlers are as late as that.",
            "more `surehook worker --processes`, or faster handlers",
        )
    if queue.dead:
        yield odd(
            "dead-letters",
            f"The queue {queue.name} has {counted(queue.dead, 'dead letter', 'dead letters')}.",
            "Such an event is kept, and does not run again by itself.",
            "`surehook dead-letters list`, then replay or discard",
        )
    if queue.jobs > queue.dead and not is_used:
        yield odd(
            "unused-queue",
            f"No handler here uses the queue {queue.name} ({counted(queue.jobs - queue.dead, 'job', 'jobs')}).",
            "Its jobs run only in workers whose code uses it.",
            "SUREHOOK_HANDLERS, or `surehook worker` with the older code",
        )


def whole_findings(stats: Stats, settings: Settings) -> Iterator[Finding]:
    if stats.is_suspended:
        means = "No handler runs and transactional events are refused."
        yield blocks("suspended", "All workers are suspended by `rq suspend`.", means, "`rq resume`")
    share = stats.open / settings.max_backlog
    found = (
        f"{counted(stats.open, 'event is', 'events are')} open; beyond {settings.max_backlog:,} new ones are refused."
    )
    if share >= MUCH:
        means = "FusionAuth does not send refused events again."
        yield loses("backlog", found, means, "more workers, or SUREHOOK_MAX_BACKLOG")
    else:
        yield fine("backlog", found)
    if stats.imbalance:
        yield odd(
            "ledger",
            f"By the counts, {stats.imbalance:,} events lack a job or are not counted.",
            "A running worker queues them again within 15 s; if this stays, they do not run.",
            "`surehook ledger` names them",
        )


def _judge(queue: str) -> Judge:
    return blocks if queue == TRANSACTIONAL_QUEUE else loses


def _stopped(queue: str, settings: Settings) -> str:
    if queue == TRANSACTIONAL_QUEUE:
        return "Transactional events are answered 503: FusionAuth refuses its users' operations."
    return f"Its events wait, and from {settings.max_backlog:,} open events on new ones are refused and lost."
