"""Workers: handlers run a second, and from enqueue to start, beside other queues on the same store in the same run."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

import click
import redis
from rq import Queue

from bench import figures, meter
from bench.machine import empty
from bench.systems import ALL, DRAMATIQ, PEERS, SIMPLE, STOCK, SUREHOOK, SUREHOOK_ASYNC, SUREHOOK_LOGGING, System
from harness.processes import cpu_seconds_of, serving_processes_of
from harness.stack import Stack
from surehook.shared.embedded import socket_path
from surehook.shared.keys import Keys

HANDLERS = '@on("*")\ndef nothing(event): pass\n'
STOCK_QUEUE = "stock"
ROUNDS = 3
LONGEST_ROUND_SECONDS = 4.0  # a slow system counts only the jobs that have begun by then
START_SECONDS = 20.0
STOP_SECONDS = 5.0
COUNTED_JOBS = 400
WARM_UP_JOBS, MEASURED_JOBS, LEFT_JOBS = 2000, 12_000, 4000
# Handler, its seconds, jobs, handlers at once in each process.
HANDLERS_COMPARED = (("no-op", 0.0, 3000, 8), ("1 ms I/O", 0.001, 3000, 8), ("50 ms I/O", 0.05, 3000, 64))
END = "the run has ended"
Environ = dict[str, str]


def run(stack: Stack) -> None:
    """Measure and print."""
    if not PEERS.exists():
        raise SystemExit("the other queues are not installed: run this as `make bench`")
    with stack.redis() as store:
        click.echo("\nworkers: no system logs its runs, except in the row that says so")
        for fsync in ("always", "everysec"):
            store.config_set("appendfsync", fsync)
            _headline(stack, store, fsync)
            _all_beside_each_other(stack, store, fsync)
            _full_load(stack, store, fsync)
        _latency(stack, store)
        _commands(stack, store)
        store.config_set("appendfsync", "always")


def stock_enqueue() -> Callable[[float], object]:
    queue = Queue(STOCK_QUEUE, connection=redis.Redis(unix_socket_path=os.environ["STORE"], protocol=2))
    return lambda seconds: queue.enqueue("bench.with_rq.work", seconds)


def _headline(stack: Stack, store: redis.Redis, fsync: str) -> None:
    click.echo(f"\nworkers: no-op on one process, 8 threads, {ROUNDS} rounds in turn; appendfsync {fsync}")
    compared = (SUREHOOK, SIMPLE, DRAMATIQ)
    speeds: dict[str, list[float]] = {each.name: [] for each in compared}
    for _ in range(ROUNDS):
        for system in compared:
            speeds[system.name].append(_speed(stack, store, system, 0.0, 3000, 8, 1))
    rows = [("what", "jobs/s")] + [(name, figures.rate(found)) for name, found in speeds.items()]
    click.echo(figures.table(rows))
    for other in (SIMPLE, DRAMATIQ):
        click.echo(f"ratio to {other.name}: {figures.ratio(speeds[SUREHOOK.name], speeds[other.name])}")


def _all_beside_each_other(stack: Stack, store: redis.Redis, fsync: str) -> None:
    click.echo(
        f"\nworkers: jobs/s of all, one round each; appendfsync {fsync}; (x rq worker, which forks for each job)"
    )
    kinds = [(*kind, processes) for kind in HANDLERS_COMPARED for processes in (1, 2)]
    rows = [("what", *(f"{name}, {processes} x {threads}" for name, _, _, threads, processes in kinds))]
    found = {
        system.name: [
            _speed(stack, store, system, seconds, jobs, threads, processes)
            for _, seconds, jobs, threads, processes in kinds
        ]
        for system in ALL
    }
    for name, speeds in found.items():
        cells = [
            f"{one:,.0f} ({one / max(other, 0.1):.0f})" for one, other in zip(speeds, found[STOCK.name], strict=True)
        ]
        rows.append((name, *cells))
    click.echo(figures.table(rows))


def _full_load(stack: Stack, store: redis.Redis, fsync: str) -> None:
    """Measures a worker after its first WARM_UP_JOBS, while more wait than it can run."""
    click.echo(f"\nworkers: no-op on one process of 8 threads at full load, one round; appendfsync {fsync}")
    rows: list[Sequence[str]] = [("what", "jobs/s", "CPU µs a job: worker", "store", "round trips a job")]
    for system in (SUREHOOK, SUREHOOK_LOGGING, SUREHOOK_ASYNC):
        with _cell(stack, store) as environ:
            system.fill(environ, WARM_UP_JOBS + MEASURED_JOBS + LEFT_JOBS, 0.0)
            with _working(system, environ, 8, 1) as workers:
                began = _until(environ, WARM_UP_JOBS)
                parts = (serving_processes_of(workers[0].pid), [stack.server.pid])
                reads, before = _reads(store), cpu_seconds_of(parts)
                ended = _until(environ, WARM_UP_JOBS + MEASURED_JOBS)
                reads = _reads(store) - reads
                spent = [after - earlier for after, earlier in zip(cpu_seconds_of(parts), before, strict=True)]
        jobs = ended.count - began.count
        if began.count < WARM_UP_JOBS or jobs == 0:
            raise SystemExit(f"{system.name} ran {ended.count} jobs: these figures are void")
        cpu = (f"{1e6 * seconds / jobs:.0f}" for seconds in spent)
        rows.append((system.name, f"{jobs / (ended.last - began.last):,.0f}", *cpu, f"{reads / jobs:.3f}"))
    click.echo(figures.table(rows))


def _latency(stack: Stack, store: redis.Redis) -> None:
    click.echo("\nworkers: from enqueue to start on an idle worker, ms; appendfsync everysec")
    rows = [("what", "p50", "p95")]
    for system in (SUREHOOK, SIMPLE, DRAMATIQ):
        with _cell(stack, store) as environ, _working(system, environ, 8, 1):
            _wait_for_the_first(system, environ)
            took = sorted(system.latencies_ms(environ))
        rows.append((system.name, f"{median(took):.1f}", f"{took[int(len(took) * 0.95)]:.1f}"))
    click.echo(figures.table(rows))


def _commands(stack: Stack, store: redis.Redis) -> None:
    click.echo(
        f"\nworkers: what the store is asked for {COUNTED_JOBS} no-op jobs, start and end of the worker included"
    )
    rows = [("what", "round trips a job", "commands sent a job", "called by scripts a job")]
    for system in (SUREHOOK, SIMPLE):
        with _cell(stack, store) as environ:
            system.fill(environ, COUNTED_JOBS, 0.0)
            sent = called = 0
            round_trips = _reads(store)
            with store.monitor() as monitor:  # type: ignore[no-untyped-call]
                with _working(system, environ, 8, 1):
                    _until(environ, COUNTED_JOBS)
                store.echo(END)
                while (seen := monitor.next_command())["command"] != f"ECHO {END}":
                    called += seen["client_type"] == "lua"
                    sent += seen["client_type"] != "lua"
            round_trips = _reads(store) - round_trips
        counts = (f"{round_trips / COUNTED_JOBS:.2f}", f"{sent / COUNTED_JOBS:.2f}", f"{called / COUNTED_JOBS:.1f}")
        rows.append((system.name, *counts))
    click.echo(figures.table(rows))


def _reads(store: redis.Redis) -> int:
    """Returns how often the server has read from its clients; a pipeline arrives in one read."""
    return int(store.info("stats")["total_reads_processed"])


def _speed(
    stack: Stack, store: redis.Redis, system: System, seconds: float, jobs: int, threads: int, processes: int
) -> float:
    with _cell(stack, store) as environ:
        environ["SECONDS"] = str(seconds)
        system.fill(environ, jobs, seconds)
        with _working(system, environ, threads, processes):
            reading = _until(environ, jobs)
        if reading.count == 0:
            raise SystemExit(f"{system.name} ran nothing: these figures are void")
        if system.module == SUREHOOK.module:
            done = int(store.hget(Keys().ledger, "done") or 0)
            if done < reading.count:
                raise SystemExit(f"{reading.count} handlers ran and {done} events are closed: these figures are void")
        return reading.per_second


@contextmanager
def _cell(stack: Stack, store: redis.Redis) -> Iterator[Environ]:
    """An empty store and an empty meter."""
    empty(store)
    folder = stack.folder / "meter"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    yield {
        "METER": str(folder),
        "STORE": str(socket_path(stack.data)),
        "THREADS": "8",
        "TMPDIR": str(stack.folder),
        "SUREHOOK_REDIS_URL": f"unix://{socket_path(stack.data)}",
        "SUREHOOK_HANDLERS": "bench.with_surehook",
        "SUREHOOK_WORKER_METRICS_BIND": "off",
    }


@contextmanager
def _working(
    system: System, environ: Environ, threads: int, processes: int
) -> Iterator[Sequence["subprocess.Popen[bytes]"]]:
    environ["THREADS"] = str(threads)
    workers = [system.start(environ, threads) for _ in range(processes)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            with suppress(subprocess.TimeoutExpired):
                worker.wait(STOP_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)  # the worker and its children: it has its own session
            worker.wait()


def _until(environ: Mapping[str, str], jobs: int) -> meter.Reading:
    """Waits until all jobs have begun or the round is over."""
    folder, ends_at = Path(environ["METER"]), time.time() + START_SECONDS
    while time.time() < ends_at:
        time.sleep(0.02)
        reading = meter.read(folder)
        if reading.count:
            ends_at = min(ends_at, reading.first + LONGEST_ROUND_SECONDS)
        if reading.count >= jobs:
            break
    return meter.read(folder)


def _wait_for_the_first(system: System, environ: Mapping[str, str]) -> None:
    system.fill(environ, 1, 0.0)
    _until(environ, 1)
