"""The store's memory for a closed event in each stage, and for an id when a million are known."""

import os
from uuid import uuid4

import click
import redis

from bench import figures
from bench.machine import empty
from bench.systems import SUREHOOK
from harness.known_ids import AT_ONCE, remember
from harness.stack import Stack, wait_until
from surehook.shared.embedded import socket_path
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script

EVENTS = 5_000
IDS = 1_000_000
MOST_BYTES_AN_ID = 40
EVENTS_A_DAY = 10_000_000
GIBIBYTE = 1024**3


def run(stack: Stack) -> None:
    """Measure and print."""
    environ = {"METER": str(stack.folder), "STORE": str(socket_path(stack.data)), "SUREHOOK_HANDLERS": "-"}
    with stack.redis() as store:
        empty(store)
        worker = stack.start_worker(SUREHOOK_BODY_RETENTION="3600")
        wait_until(lambda: store.exists(Keys().body_retention), "the worker is there")
        before = _used(store)
        SUREHOOK.fill(environ, EVENTS, 0.0)
        wait_until(lambda: int(store.hget(Keys().ledger, "done") or 0) == EVENTS, "all are done", seconds=120)
        worker.terminate()
        worker.wait()
        stages = [("for 500 s: RQ shows its job", _used(store) - before)]
        _delete(store, "rq:job:*", "rq:results:*", "rq:finished:*")
        rows_bytes = sum(int(store.memory_usage(key, samples=0) or 0) for key in store.scan_iter("surehook:index:*"))
        stages.append(("until BODY_RETENTION: body, attempts, record", _used(store) - before))
        while Script("drop_bodies", Keys()).run(store, 0, AT_ONCE):
            pass
        stages.append(("until RETENTION: attempts, record", _used(store) - before))
        empty(store)
        each = _known_id(store)
    rows: list[tuple[str, ...]] = [("a closed event", "bytes", f"GiB for {EVENTS_A_DAY:,}")]
    rows += [_row(stage, used / EVENTS) for stage, used in stages]
    rows.append(_row("of these, its row in the index", rows_bytes / EVENTS))
    rows.append(_row(f"until ID_RETENTION: its id, of {IDS:,}", each))
    click.echo("retention: the store's memory, with FusionAuth's sample events\n")
    click.echo(figures.table(rows))
    click.echo(f"\nan id: {each:.1f} bytes, to be at most {MOST_BYTES_AN_ID}")
    if each > MOST_BYTES_AN_ID:
        raise SystemExit("an id takes too much memory")


def _known_id(store: redis.Redis) -> float:
    count = int(os.environ.get("BENCH_IDS", IDS))
    before = _used(store)
    for _ in range(0, count, AT_ONCE):
        remember(store, [str(uuid4()) for _ in range(AT_ONCE)])
    return (_used(store) - before) / count


def _row(stage: str, size: float) -> tuple[str, ...]:
    return stage, f"{size:,.0f}", f"{size * EVENTS_A_DAY / GIBIBYTE:,.1f}"


def _delete(store: redis.Redis, *patterns: str) -> None:
    for pattern in patterns:
        for key in store.scan_iter(pattern, count=AT_ONCE):
            store.delete(key)


def _used(store: redis.Redis) -> int:
    return int(store.info("memory")["used_memory"])
