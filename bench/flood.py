"""Refusals: their latency, and the endpoint's memory while it has as many requests as it may."""

import click

from bench.load import measure
from harness.processes import resident_bytes
from harness.stack import Stack

PENDING = 64
CONNECTIONS = 120
SECONDS = 3.0
MEBIBYTE = 1024 * 1024
WITHIN_MS = 50


def run(stack: Stack) -> None:
    """Measure and print."""
    ingest = stack.start_ingest(SUREHOOK_MAX_PENDING=str(PENDING))
    measure(stack.port, 32, 1.0)
    before = resident_bytes(ingest.pid)
    measured = measure(stack.port, CONNECTIONS, SECONDS)
    after = resident_bytes(ingest.pid)
    click.echo(
        f"flood: {CONNECTIONS} connections on an endpoint that holds {PENDING} requests, {SECONDS:g} s: "
        f"{measured.statuses}\n"
        f"p99 of a 503: {measured.refused_p99_ms:.1f} ms (promised: {WITHIN_MS}), of a 202: {measured.p99_ms:.1f} ms; "
        f"memory of the process {before / MEBIBYTE:.0f} MiB before, {after / MEBIBYTE:.0f} MiB after"
    )
