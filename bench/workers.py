"""Workers: no-op runs a second of one process, against RQ's own SimpleWorker on the same kind of store."""

import asyncio
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import click
import redis
from rq import Queue

from bench import figures
from bench.load import bodies
from bench.machine import empty, start_python
from ingest.intake import Intake
from ingest.metrics import DoorMetrics
from shared.embedded import socket_path
from shared.events import parse_envelope
from shared.keys import Keys
from shared.replies import text
from shared.settings import load_settings
from tests.support.house import House

HANDLERS = '@on("*")\ndef nothing(event): pass\n'
STOCK_MODULE = "def nothing():\n    pass\n"
STOCK_QUEUE = "stock"
JOBS = 1000
COUNTED_JOBS = 200
ROUNDS = 3
LONGEST_ROUND_SECONDS = 6.0  # of a slow machine's thousand jobs, those count that are done by then
STOP_SECONDS = 10.0
HEADING = ("what", "jobs/s", "commands sent a job", "called by scripts a job")
LEDGER_DONE = (Keys().ledger, "done")
OUR_POLL = f"HGET {' '.join(LEDGER_DONE)}"
END = "the run has ended"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared: how its jobs get there, and how a worker does them and ends."""

    name: str
    fill: Callable[[House, redis.Redis, int], None]
    work: Callable[[House, redis.Redis, int], None]


def run(house: House) -> None:
    """Measure and print."""
    (house.folder / "stock.py").write_text(STOCK_MODULE)
    click.echo(
        f"\nworkers: {JOBS} no-op jobs, or those done in {LONGEST_ROUND_SECONDS:g} s, {ROUNDS} rounds in turn; "
        "median (lowest to highest),\nfrom the first job's start to the last one's end; commands in a run of their own"
    )
    stock = Side("rq SimpleWorker", _enqueue_stock, _work_stock)
    ours = Side("surehook worker", _accept, _work_surehook)
    speeds: dict[str, list[float]] = {side.name: [] for side in (stock, ours)}
    rows = [HEADING]
    with house.redis() as store:
        for _ in range(ROUNDS):
            for side in (stock, ours):
                empty(store)
                side.fill(house, store, JOBS)
                side.work(house, store, JOBS)
                speeds[side.name].append(jobs_per_second(store))
        for side in (stock, ours):
            sent, run_inside = count_commands(house, store, side)
            rows.append((side.name, figures.rate(speeds[side.name]), f"{sent:.1f}", f"{run_inside:.1f}"))
    click.echo(figures.table(rows))
    click.echo(f"ratio: {figures.ratio(speeds[ours.name], speeds[stock.name])}")


def jobs_per_second(store: redis.Redis) -> float:
    """By the instants on the job records, which both workers write alike: a process's start does not count."""
    done = _done(store)
    first, last = min(start for start, _ in done), max(end for _, end in done)
    return len(done) / (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def count_commands(house: House, store: redis.Redis, side: Side) -> tuple[float, float]:
    """Commands a job: sent by the worker, and called by scripts. INFO's totals do not tell the two apart."""
    empty(store)
    side.fill(house, store, COUNTED_JOBS)
    sent = called = 0
    with store.monitor() as monitor:  # type: ignore[no-untyped-call]
        side.work(house, store, COUNTED_JOBS)
        store.echo(END)
        while (seen := monitor.next_command())["command"] != f"ECHO {END}":
            called += seen["client_type"] == "lua"
            sent += seen["client_type"] != "lua" and seen["command"] != OUR_POLL
    done = len(_done(store))
    return sent / done, called / done


def _done(store: redis.Redis) -> list[tuple[str, str]]:
    """When each finished job began and ended."""
    records = [store.hmget(key, "started_at", "ended_at", "status") for key in store.scan_iter("rq:job:*", 1000)]
    done = [(text(start), text(end)) for start, end, status in records if status == b"finished"]
    if not done:
        raise SystemExit("no job was done: these figures are void")
    return done


def _enqueue_stock(_: House, store: redis.Redis, jobs: int) -> None:
    Queue(STOCK_QUEUE, connection=store).enqueue_many([Queue.prepare_data("stock.nothing") for _ in range(jobs)])


def _work_stock(house: House, _: redis.Redis, __: int) -> None:
    """`rq worker --burst` ends by itself when the queue is empty."""
    url = f"unix://{socket_path(house.data)}"
    options = ("--worker-class", "rq.worker.SimpleWorker", "--burst", "--url", url)
    worker = start_python(house, house.folder, "-m", "rq.cli", "worker", *options, STOCK_QUEUE)
    try:
        worker.wait(LONGEST_ROUND_SECONDS)
    except subprocess.TimeoutExpired:
        _stop(worker)


def _work_surehook(house: House, store: redis.Redis, jobs: int) -> None:
    """The ledger tells when all events are closed."""
    worker = house.start_worker()
    ends_at = time.monotonic() + LONGEST_ROUND_SECONDS
    while int(store.hget(*LEDGER_DONE) or 0) < jobs and time.monotonic() < ends_at:
        time.sleep(0.02)
    _stop(worker)


def _accept(house: House, _: redis.Redis, jobs: int) -> None:
    """Through the door's own intake, so that the records are what the door leaves."""
    asyncio.run(_take_in(house, jobs))


async def _take_in(house: House, jobs: int) -> None:
    settings = load_settings(
        redis_url=f"unix://{socket_path(house.data)}", key_prefix=Keys().prefix, durability="fsync"
    )
    intake = Intake(settings, DoorMetrics())
    at_work = asyncio.create_task(intake.run())
    while not intake.is_ready:  # noqa: ASYNC110 - the intake has no event to wait for
        await asyncio.sleep(0.01)
    await asyncio.gather(*(intake.accept(parse_envelope(body)) for body in islice(bodies(), jobs)))
    at_work.cancel()
    await asyncio.wait([at_work])


def _stop(worker: "subprocess.Popen[bytes]") -> None:
    worker.send_signal(signal.SIGTERM)
    worker.wait(STOP_SECONDS)
