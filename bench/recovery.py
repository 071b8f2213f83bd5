"""Recovery: the time until a lost job is queued again, among half a million open events with one or several handlers.

The worker serves another queue, so that only its sweep is active.
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
from surehook.shared.job_id import packed_id
from surehook.shared.keys import EVENTS_QUEUE, Keys
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
                _fan_out(store)
            store.config_set("appendfsync", "always")
            worker = stack.start_worker("--queue", "elsewhere")
            wait_until(lambda: store.exists(Keys().sweep_mark), "the first sweep is over", seconds=LONGEST_SECONDS)
            found = [_lose_one(store, events * parts, round_number) for round_number in range(ROUNDS)]
            seconds = [each[0] for each in found]
            summary = f"{median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
            rows.append((f"{events:,}", f"{events * parts:,}", summary, f"{median(each[1] for each in found):.1f}"))
            worker.terminate()
            worker.wait()
    click.echo(f"recovery: one job deleted by hand, {ROUNDS} rounds; promised within {PROMISED_SECONDS:g} s\n")
    click.echo(figures.table(rows))


def _fill(store: redis.Redis, events: int) -> None:
    script, source = Script("accept", Keys()), bodies()
    for start in range(0, events, AT_ONCE):
        arguments: list[bytes | str | int | float] = []
        for _ in range(min(AT_ONCE, events - start)):
            event = parse_envelope(next(source))
            arguments += [event.event_id, event.event_type, event.tenant_id, event.user_id, event.application_ids]
            arguments += [
                "webhook",
                event.body[:200],
                EVENTS_QUEUE,
                "30",
                "",
                packed_id(event.event_id),
            ]  # the sweep does not read bodies
        script.run(store, *arguments)


def _fan_out(store: redis.Redis) -> None:
    """Fans out every event to all handlers, as a worker does."""
    claims = Claims(store, Keys(), EVENTS_QUEUE, "bench", retention_seconds=60, handler_timeout=30)
    script, parts = claims.exchange_script(), [acks.HandlerJob(name, EVENTS_QUEUE, 30.0) for name in HANDLERS]
    exchanges = -(-int(store.zcard(Keys().open)) // AT_ONCE)
    sent: list[tuple[Ack, str, bool]] = []
    for number in range(1, exchanges + 2):
        wanted = AT_ONCE if number <= exchanges else 0
        result = claims.parse_reply(
            script.run(store, *claims.exchange_arguments(number, sent, wanted=wanted, starting=0))
        )
        sent = [(acks.fan_out(claim, parts), "bench", False) for claim in result.claims]


def _lose_one(store: redis.Redis, jobs: int, round_number: int) -> tuple[float, float]:
    """Returns the seconds until the job is back, and the store's CPU time for that."""
    index = (2 * round_number + 1) * jobs // (2 * ROUNDS)
    job_id = store.lindex(Keys().rq_queue(EVENTS_QUEUE), index)
    assert isinstance(job_id, bytes)  # noqa: S101 - the queue is that long
    used = _store_seconds(store)
    store.lset(Keys().rq_queue(EVENTS_QUEUE), index, "gone")
    store.lrem(Keys().rq_queue(EVENTS_QUEUE), 1, "gone")
    store.delete(Keys().rq_job(job_id.decode()))
    began = time.monotonic()
    wait_until(lambda: store.exists(Keys().rq_job(job_id.decode())), "it is queued again", seconds=LONGEST_SECONDS)
    return time.monotonic() - began, _store_seconds(store) - used


def _store_seconds(store: redis.Redis) -> float:
    found = store.info("cpu")
    return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])
