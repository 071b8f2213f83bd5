"""The memory of a worker process: idle, and after every ten thousand of 100,000 no-op events."""

import os

import click

from bench import figures
from bench.machine import empty
from bench.systems import SUREHOOK
from harness.processes import resident_bytes, serving_processes_of
from harness.stack import Stack, wait_until
from surehook.shared.embedded import socket_path
from surehook.shared.keys import Keys

JOBS = 100_000
STEP = 10_000
IDLE_SECONDS = 3.0
MOST_IDLE_MIB = 80
MEBIBYTE = 1024 * 1024


def run(stack: Stack) -> None:
    """Measure and print."""
    jobs = int(os.environ.get("BENCH_MEMORY", JOBS))
    environ = {"METER": str(stack.folder), "STORE": str(socket_path(stack.data)), "SUREHOOK_HANDLERS": "-"}
    with stack.redis() as store:
        empty(store)
        worker = stack.start_worker()
        wait_until(lambda: store.scard("rq:workers"), "the worker is there")
        (child,) = serving_processes_of(worker.pid)
        steady = _steady(child)
        rows = [("events", "worker process MiB", "its parent MiB"), _row(0, child, worker.pid)]
        for done in range(STEP, jobs + 1, STEP):
            SUREHOOK.fill(environ, STEP, 0.0)
            wait_until(lambda: int(store.hget(Keys().ledger, "done") or 0) == done, "all are done", seconds=120)  # noqa: B023 - at once
            rows.append(_row(done, child, worker.pid))
        if child not in serving_processes_of(worker.pid):
            raise SystemExit("the process was replaced during the run: these figures are void")
    click.echo("memory: one worker process with 8 threads, resident, a no-op handler\n")
    click.echo(figures.table(rows))
    click.echo(f"\nidle: {steady:.0f} MiB, to be below {MOST_IDLE_MIB}")
    if steady >= MOST_IDLE_MIB:
        raise SystemExit("an idle worker process is too large")


def _row(events: int, *pids: int) -> tuple[str, ...]:
    return (f"{events:,}", *(f"{resident_bytes(pid) / MEBIBYTE:.1f}" for pid in pids))


def _steady(pid: int) -> float:
    """The process's size once it no longer changes."""
    sizes = [0]

    def is_steady() -> bool:
        sizes.append(resident_bytes(pid))
        return len(sizes) > IDLE_SECONDS / 0.02 and sizes[-1] == sizes[-100]

    wait_until(is_steady, "it is idle")
    return sizes[-1] / MEBIBYTE
