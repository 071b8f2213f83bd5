"""The work of a handler in every benchmark: count the run, and wait. It imports no queue, so all can use it.

`METER` names a folder. Each process that runs handlers has a file there: the count of runs, and when the first and the
last began.
"""

import argparse
import asyncio
import mmap
import os
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_RECORD = struct.Struct("<qdd")
# Two first runs at a time would create the file twice, and mapping it while it is empty kills the process.
_ONE_AT_A_TIME = threading.Lock()
LATENCY_JOBS = 40
PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Reading:
    """The runs of all processes together; instants are of time.time()."""

    count: int
    first: float
    last: float

    @property
    def per_second(self) -> float:
        return (self.count - 1) / (self.last - self.first) if self.count > 1 else 0.0


@lru_cache
def _memory() -> mmap.mmap:
    path = Path(os.environ["METER"]) / str(os.getpid())
    path.write_bytes(b"\0" * _RECORD.size)
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), 0)


def tick() -> None:
    with _ONE_AT_A_TIME:
        memory = _memory()
        count, first, _ = _RECORD.unpack_from(memory)
        now = time.time()
        _RECORD.pack_into(memory, 0, count + 1, first or now, now)


def work(seconds: float) -> None:
    tick()
    if seconds:
        time.sleep(seconds)


async def work_async(seconds: float) -> None:
    tick()
    if seconds:
        await asyncio.sleep(seconds)


def read(folder: Path) -> Reading:
    lines = [_RECORD.unpack(path.read_bytes()) for path in folder.iterdir() if path.stat().st_size]
    begun = [line for line in lines if line[0]]
    if not begun:
        return Reading(0, 0.0, 0.0)
    return Reading(sum(line[0] for line in begun), min(line[1] for line in begun), max(line[2] for line in begun))


def fill_or_time(enqueue: Callable[[float], object], fill: Callable[[int], object] | None = None) -> None:
    """The command line of each queue's module: `fill JOBS SECONDS`, or `latency` of a worker that idles."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("fill", "latency"))
    parser.add_argument("jobs", type=int, nargs="?", default=LATENCY_JOBS)
    parser.add_argument("seconds", type=float, nargs="?", default=0.0)
    chosen = parser.parse_args()
    if chosen.what == "fill" and fill is not None:
        fill(chosen.jobs)
    elif chosen.what == "fill":
        for _ in range(chosen.jobs):
            enqueue(chosen.seconds)
    else:
        sys.stdout.writelines(f"{took * 1000}\n" for took in latencies(enqueue, chosen.jobs))


def latencies(enqueue: Callable[[float], object], jobs: int) -> list[float]:
    """Returns the seconds from before each enqueue until its handler began, one job at a time."""
    folder = Path(os.environ["METER"])
    took = []
    for _ in range(jobs):
        before = read(folder).count
        began = time.time()
        enqueue(0.0)
        while (reading := read(folder)).count == before and time.time() < began + PATIENCE_SECONDS:
            time.sleep(0.0005)
        took.append(reading.last - began if reading.count > before else PATIENCE_SECONDS)
        time.sleep(0.02)
    return took
