"""The supervisor watches all its processes, while some of them die, hang or are slow."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis

from harness.stack import wait_until
from surehook.shared import restart_policy
from surehook.shared.settings import Settings
from surehook.workers.announcement import ANNOUNCEMENT_SUFFIX, announce
from surehook.workers.slots import Slots
from surehook.workers.supervisor import child as child_module
from surehook.workers.supervisor import rollout
from surehook.workers.supervisor.supervisor import Supervisor
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_leases import NO_HANDLERS

CRASHES = "raise SystemExit(1)"
WAITS = "import sys; sys.stdin.read()"
STAYS = """
import pathlib, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path({ready!r}).touch()
sys.stdin.read()
"""
LONG_SECONDS = 60.0


@dataclass
class Started:
    """A process that the supervisor has started: a program of the test in place of a worker process."""

    queue: str
    name: str
    slots: Slots
    process: "subprocess.Popen[bytes]"


Play = Callable[[], None]
RunPool = Callable[[dict[str, str], Play], None]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Started]]:
    found: list[Started] = []
    yield found
    for each in found:
        each.process.kill()
        each.process.wait()
        if each.process.stdin:
            each.process.stdin.close()
        each.slots.close()


@pytest.fixture
def run_pool(settings: Settings, started: list[Started], monkeypatch: pytest.MonkeyPatch) -> Iterator[RunPool]:
    """Supervise these programs, by queue, while `play` runs; then stop without grace."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    pool_settings = settings.model_copy(update={"worker_metrics_bind": "off", "grace": LONG_SECONDS})

    def run_pool(programs: dict[str, str], play: Play) -> None:
        def start(arguments: Sequence[str], **_: Any) -> "subprocess.Popen[bytes]":
            words = dict(pairwise(arguments))
            if "--announce" in words:
                announce(Path(words["--slots"]).with_suffix(ANNOUNCEMENT_SUFFIX), NO_HANDLERS, tuple(programs))
            process = subprocess.Popen([sys.executable, "-c", programs[words["--queue"]]], stdin=subprocess.PIPE)
            started.append(Started(words["--queue"], words["--name"], Slots(Path(words["--slots"])), process))
            return process

        def play_and_stop() -> None:
            wait_until(lambda: started, "the pool hears signals from here on")
            try:
                play()
            finally:
                while not is_over.wait(0.1):
                    os.kill(os.getpid(), signal.SIGTERM)

        is_over = threading.Event()
        monkeypatch.setattr(child_module, "start_child", start)
        with ThreadPoolExecutor(1) as other:
            playing = other.submit(play_and_stop)
            try:
                Supervisor(pool_settings, processes=1, threads=1, queue=next(iter(programs))).run()
            finally:
                is_over.set()
            playing.result()

    yield run_pool
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_a_pending_restart_does_not_block_the_supervisor(
    run_pool: RunPool, started: list[Started], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(restart_policy, "FIRST_PAUSE_SECONDS", LONG_SECONDS)
    monkeypatch.setattr(restart_policy, "LONGEST_PAUSE_SECONDS", LONG_SECONDS)

    def play() -> None:
        wait_until(lambda: caplog.text.count("worker process died") == 2, "two have died young: now there is a pause")
        hangs = next(each for each in started if each.queue == "waits")
        hangs.slots.reserve(0, "job:mark-1-1")
        hangs.slots.start(0, time.monotonic() - LONG_SECONDS)
        wait_until(lambda: started[-1].queue == "waits" and started[-1] is not hangs, "it was killed and replaced")

    run_pool({"crashes": CRASHES, "waits": WAITS}, play)

    assert [each.queue for each in started].count("crashes") == 2


def test_jobs_of_a_process_that_dies_in_the_grace_period_are_given_back_before_its_end(
    run_pool: RunPool, started: list[Started], accept: Accept, claims_of: Any, store: redis.Redis, tmp_path: Path
) -> None:
    event_id = accept()
    ready = tmp_path / "ready"

    def play() -> None:
        wait_until(lambda: len(started) == 2 and ready.exists())
        dies, stays = started
        claim = claims_of(dies.name).claim()
        dies.slots.reserve(0, claim.key)
        dies.slots.start(0, time.monotonic() + LONG_SECONDS)
        dies.slots.beat(time.monotonic())

        os.kill(os.getpid(), signal.SIGTERM)

        wait_until(lambda: store.llen("rq:queue:events") == 1, "it is given back")
        assert stays.process.poll() is None
        assert store.hget(KEYS.event(event_id), "interrupted:") is None

    run_pool({"events": WAITS, "stays": STAYS.format(ready=str(ready))}, play)


def test_a_process_that_does_not_reach_its_store_replaces_no_other(
    run_pool: RunPool,
    started: list[Started],
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(rollout, "SERVING_SECONDS", 0.5)
    monkeypatch.setenv("SUREHOOK_DATA_DIR", str(data_dir))
    caplog.set_level(logging.INFO)

    def play() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        wait_until(lambda: len(started) == 2, "the new one has started")
        started[1].slots.beat(time.monotonic())
        wait_until(lambda: started[1].process.poll() is not None, "the new one has ended")
        assert started[0].process.poll() is None

    run_pool({"events": WAITS}, play)

    assert "worker process replacement failed" in caplog.messages
