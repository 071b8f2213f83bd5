"""The whole pipeline: from the POST to the end of its no-op handler, with one ingest and one worker process."""

import time

import click

from bench.load import measure
from bench.machine import empty
from harness.stack import Stack, wait_until
from surehook.shared.keys import Keys

ROUNDS = 3
SECONDS = 2.0
CONNECTIONS = 8


def run(stack: Stack) -> None:
    """Measure and print."""
    click.echo(f"pipeline: {ROUNDS} rounds of {SECONDS:g} s of load on {CONNECTIONS} connections, a no-op handler\n")
    stack.start_ingest()
    stack.start_worker()
    with stack.redis() as store:
        wait_until(lambda: store.scard("rq:workers"), "the worker is there")
        for _ in range(ROUNDS):
            empty(store)
            began = time.monotonic()
            accepted = measure(stack.port, CONNECTIONS, SECONDS).statuses["202"]
            wait_until(lambda: int(store.hget(Keys().ledger, "done") or 0) == accepted, "all are done", seconds=120)  # noqa: B023 - at once
            seconds = time.monotonic() - began
            click.echo(f"{accepted:,} events from POST to handler done in {seconds:.1f} s: {accepted / seconds:,.0f}/s")
