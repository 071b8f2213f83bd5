"""Backlog: latency and memory of the endpoint while events pile up without workers.

Mixed types and sizes (a few of 64 KiB), one event in twenty sent twice, bursts of connections. It ends at
BENCH_BACKLOG open events or after BENCH_BACKLOG_SECONDS, whichever comes first.
"""

import os
import time
from itertools import islice

import click

from bench import figures
from bench.load import BODY_BYTES, measure, mixed_bodies
from harness.processes import resident_bytes
from harness.stack import Stack

EVENTS = 500_000
LONGEST_SECONDS = 300.0
STEPS = 10
QUIET, BURST = 16, 96
SLICE_SECONDS = 2.0
SAMPLED = 20_000
HEADING = ("open events", "requests/s", "p50 ms", "p99 ms", "of a burst", "ingest MiB", "store MiB", "bytes an event")
MEBIBYTE = 1024 * 1024


def run(stack: Stack) -> None:
    """Measure and print."""
    events = int(os.environ.get("BENCH_BACKLOG", EVENTS))
    longest_seconds = float(os.environ.get("BENCH_BACKLOG_SECONDS", LONGEST_SECONDS))
    ingest = stack.start_ingest()
    measure(stack.port, QUIET, SLICE_SECONDS, bodies="mixed")
    rows = [HEADING]
    began = time.monotonic()
    with stack.redis() as store:
        store.flushall()
        nothing = store.info("memory")["used_memory"]
        next_row = 0
        while time.monotonic() - began < longest_seconds:
            quiet = measure(stack.port, QUIET, SLICE_SECONDS, bodies="mixed")
            burst = measure(stack.port, BURST, SLICE_SECONDS / 2, bodies="mixed")
            refused = {status for each in (quiet, burst) for status in each.statuses} - {"200", "202"}
            if refused:
                raise SystemExit(f"the endpoint answered {refused}: these figures are void")
            count = int(store.zcard("surehook:open"))
            used = store.info("memory")["used_memory"]
            if count >= next_row:
                next_row = count + events // STEPS
                rows.append((
                    f"{count:,}", f"{quiet.per_second:,.0f}", f"{quiet.p50_ms:.2f}", f"{quiet.p99_ms:.2f}",
                    f"{burst.p99_ms:.2f}", f"{resident_bytes(ingest.pid) / MEBIBYTE:.0f}", f"{used / MEBIBYTE:.0f}",
                    f"{(used - nothing) / count:,.0f}",
                ))  # fmt: skip
            if count >= events:
                break
        ending = "as many as asked" if count >= events else "time is up"
        click.echo(
            f"backlog: {count:,} open events ({ending}) of mixed types and sizes in {time.monotonic() - began:.0f} s\n"
        )
    click.echo(figures.table(rows))
    sizes = [len(body) for body in islice(mixed_bodies(), SAMPLED)]
    mean = sum(sizes) / len(sizes)
    beyond = (used - nothing) / count - mean
    click.echo(
        f"\na body is {mean:,.0f} bytes in the mean, {min(sizes):,} to {max(sizes):,}; an event takes {beyond:,.0f} "
        f"beyond its body, so one of {BODY_BYTES:,} waits in {beyond + BODY_BYTES:,.0f}"
    )
