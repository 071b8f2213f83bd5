"""The spool: its rate and latency while the store is away, the endpoint's memory, and the latency while it empties."""

import signal

import click

from bench.load import measure
from harness.processes import resident_bytes
from harness.stack import Stack, wait_until
from tests.support.metrics import metric

SECONDS = 5.0
DRAIN_CONNECTIONS = 8
GOAL_PER_SECOND, GOAL_P50_MS = 1000, 10
MEBIBYTE = 1024 * 1024


def run(stack: Stack) -> None:
    """Measure and print."""
    ingest = stack.start_ingest()
    measure(stack.port, 32, 1.0)
    before = resident_bytes(ingest.pid)
    stack.server.send_signal(signal.SIGSTOP)
    try:
        stack.deliver()  # the endpoint notices it
        few = measure(stack.port, 4, SECONDS)
        many = measure(stack.port, 32, SECONDS)
        waiting = metric(stack, "surehook_spooled_events")
        after = resident_bytes(ingest.pid)
    finally:
        stack.server.send_signal(signal.SIGCONT)
    draining = measure(stack.port, DRAIN_CONNECTIONS, 2.0)
    wait_until(lambda: metric(stack, "surehook_spooled_events") == 0, "the spool is empty", seconds=120)
    lines = [line for line in stack.logged().splitlines() if "spooling ended" in line]
    click.echo(
        f"spool: the store is stopped for {2 * SECONDS:g} s\n"
        f"4 connections: {few.per_second:,.0f} events/s, p50 {few.p50_ms:.1f} ms, p99 {few.p99_ms:.1f} ms, "
        f"{few.statuses}\n"
        f"32 connections: {many.per_second:,.0f} events/s, p50 {many.p50_ms:.1f} ms, p99 {many.p99_ms:.1f} ms, "
        f"{many.statuses}\n"
        f"promised: {GOAL_PER_SECOND:,} events/s, p50 {GOAL_P50_MS} ms\n"
        f"memory of the process {before / MEBIBYTE:.0f} MiB before, {after / MEBIBYTE:.0f} MiB with "
        f"{waiting:,.0f} events on the disk\n"
        f"while they are forwarded, {DRAIN_CONNECTIONS} connections: {draining.per_second:,.0f} events/s, "
        f"p50 {draining.p50_ms:.1f} ms, p99 {draining.p99_ms:.1f} ms, {draining.statuses}\n"
        f"{lines[-1] if lines else ''}"
    )
