"""Limits: what idle worker processes ask of the store while events wait because of limits."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from uuid import uuid4

import click
import redis

from bench import figures
from bench.machine import empty
from bench.order import KEYS, accept
from harness.stack import Stack, wait_until

PROCESSES = (1, 8)
EVENTS_A_QUEUE = 30
WATCHED_SECONDS, SETTLE_SECONDS = 15.0, 4.0
PLAIN = '@on("group.create")\ndef nothing(event): pass\n'
HANDLERS = """
@on("user.create", name="few", concurrency=1, timeout=600)
def few(event):
    time.sleep(300)

@on("user.update", name="rated", rate="1/h")
def rated(event): pass

@on("user.delete", name="down", breaker=True, retries=0)
def down(event): raise OSError

@on("user.login.success", name="told", concurrency=5)
def told(event): raise RetryLater(3000, everyone=True)
"""
TYPES = {"few": "user.create", "rated": "user.update", "down": "user.delete", "told": "user.login.success"}


def run(stack: Stack) -> None:
    """Measure and print."""
    rows = [("round trips a second, each process", *(f"of {number}" for number in PROCESSES))]
    with stack.redis() as store:
        for name, handlers, event_types in (
            ("idle, no handler has limits", PLAIN, ()),
            ("idle, four handlers with limits", HANDLERS, ()),
            ("events of all four wait", HANDLERS, tuple(TYPES.values())),
        ):
            rates = []
            for processes in PROCESSES:
                with _workers(stack, store, handlers, processes):
                    _hold_back(store, event_types)
                    rates.append(f"{_round_trips(store) / processes:.1f}")
            rows.append((name, *rates))
    click.echo(
        "limits: a handler at its concurrency, one at its rate, one with an open breaker, one that was told to wait; "
        f"{EVENTS_A_QUEUE} events for each\n"
    )
    click.echo(figures.table(rows))


@contextmanager
def _workers(stack: Stack, store: redis.Redis, handlers: str, processes: int) -> Iterator[None]:
    empty(store)
    stack.write_handlers(handlers)
    worker = stack.start_worker("--processes", str(processes), SUREHOOK_WORKER_METRICS_BIND="off")
    wait_until(lambda: len(stack.worker_pids()) == processes, "all are there", seconds=120)
    try:
        yield
    finally:
        worker.kill()  # its handler would run on for minutes; its children notice
        worker.wait()
        wait_until(lambda: _has_no_clients(store), "its processes have ended", seconds=60)


def _has_no_clients(store: redis.Redis) -> bool:
    return int(store.info("clients")["connected_clients"]) == 1


def _hold_back(store: redis.Redis, event_types: tuple[str, ...]) -> None:
    for event_type in event_types:
        accept(store, event_type, (str(uuid4()) for _ in repeat(None, EVENTS_A_QUEUE)))
    if event_types:
        wait_until(
            lambda: (
                store.llen(KEYS.rq_queue("events")) == 0
                and store.hexists(KEYS.limits("events.down"), "open_since")
                and store.hexists(KEYS.limits("events.told"), "closed_until")
            ),
            "the limits hold all four back",
        )


def _round_trips(store: redis.Redis) -> float:
    """A second, as the store counts what it reads from its clients."""
    time.sleep(SETTLE_SECONDS)
    before, began = _reads(store), time.monotonic()
    time.sleep(WATCHED_SECONDS)
    return (_reads(store) - before) / (time.monotonic() - began)


def _reads(store: redis.Redis) -> int:
    return int(store.info("stats")["total_reads_processed"])
