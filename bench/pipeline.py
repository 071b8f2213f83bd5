"""The whole pipeline: from the first POST to the end of the last no-op handler, one ingest and one worker process."""

import time

import click

from bench.load import measure
from bench.machine import empty
from harness.stack import Stack, wait_until
from surehook.shared.keys import Keys

ROUNDS = 3
SECONDS = 2.0
# A sender waits for each response: few of them measure how long that takes, more of them what all parts can do.
CONNECTIONS = (8, 32)


def run(stack: Stack) -> None:
    """Measure and print."""
    click.echo(f"pipeline: {ROUNDS} rounds of {SECONDS:g} s of load in turn, a no-op handler\n")
    stack.start_ingest()
    stack.start_worker()
    with stack.redis() as store:
        wait_until(lambda: store.scard("rq:workers"), "the worker is there")
        for connections in CONNECTIONS * ROUNDS:
            empty(store)
            measured = measure(stack.port, connections, SECONDS)
            accepted = measured.statuses["202"]
            wait_until(lambda: int(store.hget(Keys().ledger, "done") or 0) == accepted, "all are done", seconds=120)  # noqa: B023 - at once
            seconds = time.perf_counter() - measured.began
            click.echo(
                f"{connections:>2} connections: {accepted:>6,} events from POST to handler done in {seconds:.1f} s: "
                f"{accepted / seconds:,.0f}/s; p50 of the response {measured.p50_ms:.1f} ms"
            )
