"""How long a lost job is lost: one of half a million open events, whole or split between handlers, until it is queued.

The worker beside it serves another queue, so nothing moves but the sweep.
"""

import os
import time
from statistics import median

import click
import redis

from bench import figures
from bench.load import bodies
from bench.machine import empty
from harness.stack import Stack, wait_until
from surehook.shared.envelope import parse_envelope
from surehook.shared.keys import EVENTS_QUEUE, Keys, rq_job, rq_queue
from surehook.shared.scripts import Script
from surehook.workers.queue import acks
from surehook.workers.queue.acks import Ack
from surehook.workers.queue.claims import Claims

EVENTS = 500_000
HANDLERS = ("mail", "crm", "audit")
AT_ONCE = 250
IDLE_WORKER = '@on("user.delete", queue="elsewhere")\ndef nothing(event): pass\n'
ROUNDS = 3
PROMISED_SECONDS = 15.0
LONGEST_SECONDS = 120.0


def run(stack: Stack) -> None:
    """Measure and print."""
    events = int(os.environ.get("BENCH_RECOVERY", EVENTS))
    rows = [("open events", "jobs", "found and queued again, s", "of the store's time, s")]
    stack.write_handlers(IDLE_WORKER)
    with stack.redis() as store:
        for parts in (1, len(HANDLERS)):
            empty(store)
            store.config_set("appendfsync", "no")
            _fill(store, events)
            if parts > 1:
                _split(store)
            store.config_set("appendfsync", "always")
            worker = stack.start_worker("--queue", "elsewhere")
            wait_until(lambda: store.exists(Keys().sweep_mark), "it has swept once", seconds=LONGEST_SECONDS)
            found = [_lose_one(store, events * parts, round_number) for round_number in range(ROUNDS)]
            seconds = [each[0] for each in found]
            told = f"{median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
            rows.append((f"{events:,}", f"{events * parts:,}", told, f"{median(each[1] for each in found):.1f}"))
            worker.terminate()
            worker.wait()
    click.echo(f"recovery: one job deleted by hand, {ROUNDS} rounds; promised within {PROMISED_SECONDS:g} s\n")
    click.echo(figures.table(rows))


def _fill(store: redis.Redis, events: int) -> None:
    script, source = Script("accept", Keys()), bodies()
    for start in range(0, events, AT_ONCE):
        words: list[bytes | str | int | float] = []
        for _ in range(min(AT_ONCE, events - start)):
            event = parse_envelope(next(source))
            words += [event.event_id, event.event_type, event.tenant_id, event.user_id, event.application_id]
            words += ["webhook", event.body[:200], EVENTS_QUEUE, "30", ""]  # the sweep reads no body
        script.run(store, *words)


def _split(store: redis.Redis) -> None:
    """As a worker whose handlers want every event: all of those in front, then the next."""
    claims = Claims(store, Keys(), EVENTS_QUEUE, "bench", retention_seconds=60, handler_timeout=30)
    script, parts = claims.exchange_script(), [(name, EVENTS_QUEUE, 30.0) for name in HANDLERS]
    trips = -(-int(store.zcard(Keys().open)) // AT_ONCE)
    notes: list[tuple[Ack, str, bool]] = []
    for number in range(1, trips + 2):
        wanted = AT_ONCE if number <= trips else 0
        arrival = claims.parse_reply(
            script.run(store, *claims.exchange_arguments(number, notes, wanted=wanted, starting=0))
        )
        notes = [(acks.fan_out(claim, parts), "bench", False) for claim in arrival.claims]


def _lose_one(store: redis.Redis, jobs: int, round_number: int) -> tuple[float, float]:
    """Seconds until it is back, and of the store's own processor time in the meantime."""
    index = (2 * round_number + 1) * jobs // (2 * ROUNDS)
    job_id = store.lindex(rq_queue(EVENTS_QUEUE), index)
    assert isinstance(job_id, bytes)  # noqa: S101 - the queue is that long
    used = _store_seconds(store)
    store.lset(rq_queue(EVENTS_QUEUE), index, "gone")
    store.lrem(rq_queue(EVENTS_QUEUE), 1, "gone")
    store.delete(rq_job(job_id.decode()))
    began = time.monotonic()
    wait_until(lambda: store.exists(rq_job(job_id.decode())), "it is queued again", seconds=LONGEST_SECONDS)
    return time.monotonic() - began, _store_seconds(store) - used


def _store_seconds(store: redis.Redis) -> float:
    found = store.info("cpu")
    return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])
