"""The parent of the worker processes: starts them, replaces those that die, stops them all in order."""

import logging
import os
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from uuid import uuid4

from prometheus_client import CollectorRegistry, Counter
from redis.exceptions import RedisError

from shared.backoff import pause_seconds
from shared.gauges import StoreGauges
from shared.keys import Keys
from shared.metrics_server import serve_metrics
from shared.processes import start_child
from shared.settings import Settings
from shared.store import connect
from workers.claims import Claims
from workers.metric_files import MetricFiles
from workers.metrics import why_not_ready
from workers.process import EX_MISCONFIGURED
from workers.registry import Registry
from workers.upkeep import interrupt
from workers.worker import forget_worker

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
RESTART_SECONDS = 0.5
LONGEST_RESTART_SECONDS = 10.0
LIVED_LONG_SECONDS = 30.0
STORE_TIMEOUT_SECONDS = 4.0
MISCONFIGURED = 2
FIRST_SIGNAL = 1  # a second one ends the grace period


@dataclass(slots=True)
class Child:
    """One worker process and its place in the pool."""

    queue: str
    name: str
    process: "subprocess.Popen[bytes]"
    began: float
    quick_deaths: int = 0


class Pool:
    """`processes` workers on each queue."""

    def __init__(self, settings: Settings, registry: Registry, queues: list[str], processes: int) -> None:
        self._settings = settings
        self._registry = registry
        self._queues = queues
        self._processes = processes
        self._children: list[Child] = []
        self._signals = 0

    def run(self) -> int:
        """Run until SIGTERM or SIGINT. Returns the exit status."""
        with tempfile.TemporaryDirectory(prefix="surehook-metrics-") as folder:
            series = CollectorRegistry()
            self._metric_files = MetricFiles(folder)
            series.register(self._metric_files)
            series.register(StoreGauges(self._settings))
            self._deaths = Counter("surehook_worker_process_deaths", "Processes replaced", registry=series)
            serve_metrics(self._settings.worker_metrics_bind, series, lambda: why_not_ready(folder))
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._on_signal)
            for queue in self._queues:
                for _ in range(self._processes):
                    self._children.append(self._start(queue, folder))
            try:
                return self._watch(folder)
            finally:
                self._stop_children()

    def _on_signal(self, *_: object) -> None:
        self._signals += 1  # a plain number: an Event's lock may be held by the very code this interrupts

    def _watch(self, folder: str) -> int:
        while not self._signals:
            time.sleep(POLL_SECONDS)
            for place, child in enumerate(self._children):
                status = child.process.poll()
                if status is None:
                    continue
                if status == EX_MISCONFIGURED:
                    return MISCONFIGURED  # it said why; another one would say the same
                log.error("worker process died", extra={"queue": child.queue, "status": status})
                self._deaths.inc()
                self._metric_files.forget(child.process.pid)
                self._give_back(child, counts=True)
                self._children[place] = self._replace(child, folder)
        return 0

    def _start(self, queue: str, folder: str, quick_deaths: int = 0) -> Child:
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        process = start_child(
            ["-m", "workers.process", "--queue", queue, "--name", name],
            environ={"PROMETHEUS_MULTIPROC_DIR": folder},
        )
        return Child(queue, name, process, time.monotonic(), quick_deaths)

    def _replace(self, dead: Child, folder: str) -> Child:
        lived_long = time.monotonic() - dead.began > LIVED_LONG_SECONDS
        quick_deaths = 0 if lived_long else dead.quick_deaths + 1
        if quick_deaths > 1:
            pause = pause_seconds(quick_deaths, first_seconds=RESTART_SECONDS, longest_seconds=LONGEST_RESTART_SECONDS)
            until = time.monotonic() + pause
            while not self._signals and time.monotonic() < until:
                time.sleep(POLL_SECONDS)
        return self._start(dead.queue, folder, quick_deaths)

    def _stop_children(self) -> None:
        """Ask, wait for the grace period or a second signal, then kill and give back what still ran."""
        log.info("worker is stopping, what runs may finish", extra={"grace_seconds": self._settings.grace})
        for child in self._children:
            child.process.terminate()
        deadline = time.monotonic() + self._settings.grace
        while time.monotonic() < deadline and self._signals <= FIRST_SIGNAL:
            if all(child.process.poll() is not None for child in self._children):
                break
            time.sleep(POLL_SECONDS)
        for child in self._children:
            if child.process.poll() is None:
                log.warning("worker process killed after the grace period", extra={"queue": child.queue})
                child.process.kill()
            child.process.wait()
            self._give_back(child, counts=False)

    def _give_back(self, child: Child, *, counts: bool) -> None:
        """What a dead process held runs again at once. If the store is away, the leases lapse and others do this."""
        keys = Keys(self._settings.key_prefix)
        try:
            with connect(self._settings, timeout_seconds=STORE_TIMEOUT_SECONDS) as store:
                claims = Claims(
                    store,
                    keys,
                    child.queue,
                    child.name,
                    retention_seconds=self._settings.retention,
                    handler_timeout=self._settings.handler_timeout,
                )
                for key in claims.held_by(child.name):
                    interrupt(claims, self._registry, store, keys, key, is_gone=True, counts=counts)
                forget_worker(store, child.name, child.queue)
        except (RedisError, OSError) as exc:
            log.warning("store is away, leases will lapse", extra={"error_type": type(exc).__name__})
