"""Checks that nothing else uses our keys and our queues in the store."""

import re
from collections.abc import Iterator
from typing import Any

import redis

from surehook.fusionauth.doctor.findings import Finding, fine, loses, odd
from surehook.shared.job_id import JobId
from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.plural import counted
from surehook.shared.scripts import text, texts

# `surehook worker` names its threads like this; RQ's own worker has 32 hexadecimal digits, or a name that was chosen.
OUR_WORKER = re.compile(r".+-\d+-[0-9a-f]{8}\.\d+")
JOBS_LOOKED_AT = 50
PREFIX = "SUREHOOK_KEY_PREFIX"


def prefix_findings(store: redis.Redis, keys: Keys) -> Iterator[Finding]:
    if wrong := _wrong_types(store, keys):
        yield loses(
            "prefix",
            f"Another application uses {', '.join(wrong)}.",
            "Our scripts fail on these keys, so no event is stored.",
            f"{PREFIX}: one that no other application uses",
        )
        return
    queues = sorted({EVENTS_QUEUE, *texts(store.smembers(keys.queues))})
    findings = [*_stock_workers(store, keys, queues), *_foreign_jobs(store, keys, queues)]
    if not findings:
        others = sorted(set(texts(store.smembers(keys.rq_queues))) - {keys.rq_queue(queue) for queue in queues})
        shared = (
            f" RQ has {counted(len(others), 'queue', 'queues')} of other applications beside ours." if others else ""
        )
        findings = [fine("prefix", f"Only Surehook uses its keys and queues.{shared}")]
    yield from findings


def _wrong_types(store: redis.Redis, keys: Keys) -> list[str]:
    wanted = {
        keys.open: "zset",
        keys.ledger: "hash",
        keys.queues: "set",
        keys.store_format: "string",
        keys.rq_queue(EVENTS_QUEUE): "list",
    }
    return [key for key, kind in wanted.items() if text(store.type(key)) not in (kind, "none")]


def _stock_workers(store: redis.Redis, keys: Keys, queues: list[str]) -> Iterator[Finding]:
    for key in sorted(texts(store.smembers(keys.rq_workers))):
        name = key.removeprefix(keys.rq_worker(""))
        listens = text(store.hget(key, "queues")).split(",")
        if taken := sorted(set(listens) & set(queues)):
            if OUR_WORKER.fullmatch(name):
                continue
            yield odd(
                "stock-worker",
                f"A stock `rq worker` ({name}) takes jobs from {', '.join(taken)}.",
                "It cannot run handlers: it fails each job that it takes, and the job is given back later.",
                "stop that worker: only `surehook worker` may run on these queues",
            )


def _foreign_jobs(store: redis.Redis, keys: Keys, queues: list[str]) -> Iterator[Finding]:
    for queue in queues:
        reply: Any = store.lrange(keys.rq_queue(queue), 0, JOBS_LOOKED_AT - 1)
        foreign = [job for job in texts(reply) if not store.exists(keys.event(JobId.parse(job).event_id))]
        if foreign:
            yield odd(
                "foreign-jobs",
                f"The queue {queue} holds jobs that are no events of ours, such as {foreign[0]}.",
                "Another application puts its jobs there; our workers put them aside and never run them.",
                f"{PREFIX}, or the other application's queue name",
            )
