"""The parent of several ingest processes: holds the socket, replaces processes that die, and all of them on SIGHUP.

The socket stays open while the parent lives. A connection that arrives while a process dies or is replaced waits in the
socket's queue for the next process, so none is refused.
"""

import logging
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics

from surehook.ingest.auth.credentials import authenticator_from
from surehook.ingest.listener import listen
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.tls import tls_options
from surehook.shared.child_processes import start_child
from surehook.shared.exit_status import CHILD_MISCONFIGURED, MISCONFIGURED
from surehook.shared.metrics_server import serve_metrics
from surehook.shared.multiprocess_metrics import MetricFiles
from surehook.shared.process_metrics import ProcessMetrics
from surehook.shared.restart_policy import RestartPolicy
from surehook.shared.scale import SCALE_PATH, Scale
from surehook.shared.service_manager import ServiceManager
from surehook.shared.settings import Settings
from surehook.shared.store_metrics import StoreGauges
from surehook.shared.working_folder import working_folder

log = logging.getLogger(__name__)

POLL_SECONDS = 0.05
# On SIGHUP, the old processes stay if a new one does not serve within this time.
SERVING_SECONDS = 30.0
MISTAKE = "the configuration has a mistake; the line before says which. The old processes stay"
KILL_GRACE_SECONDS = 5.0  # beyond the grace period, until a process is killed


@dataclass(slots=True)
class Child:
    """One process. It writes to the pipe `serving` when it accepts connections."""

    process: "subprocess.Popen[bytes]"
    serving: int
    started_at: float = field(default_factory=time.monotonic)
    is_serving: bool = False
    stop_by: float = float("inf")

    def check_serving(self) -> bool:
        if not self.is_serving:
            try:
                self.is_serving = bool(os.read(self.serving, 1))
            except BlockingIOError:
                return False
        return self.is_serving


class Supervisor:
    """Keeps `processes` processes serving one address."""

    def __init__(self, settings: Settings, processes: int) -> None:
        self._settings = settings
        self._processes = processes
        self._children: list[Child] = []
        self._stopping: list[Child] = []
        self._has_served = False
        self._start_after = 0.0
        self._restarts = RestartPolicy()
        self._stops = 0
        self._reloads = 0

    def run(self) -> int:
        """Run until SIGTERM or SIGINT. Returns the exit status.

        Raises:
            Misconfigured: no authentication is configured, a key or certificate is invalid, or the address is taken.
        """
        self._service = ServiceManager()
        # Checked here too, so that a mistake is reported once, before any process starts.
        authenticator_from(self._settings, IngestMetrics())
        tls_options(self._settings)
        self._listener = listen(self._settings.bind)
        disable_created_metrics()  # type: ignore[no-untyped-call] # as in the processes
        with working_folder("surehook-ingest-") as self._folder:
            series = CollectorRegistry()
            self._metric_files = MetricFiles(self._folder.path)
            series.register(self._metric_files)
            series.register(StoreGauges(self._settings))
            series.register(ProcessMetrics(self._pids))
            self._deaths = Counter("surehook_ingest_process_deaths", "Processes that died", registry=series)
            serve_metrics(self._settings.metrics_bind, series, {SCALE_PATH: Scale(self._settings)})
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._on_stop)
            signal.signal(signal.SIGHUP, self._on_reload)
            try:
                return self._supervise()
            finally:
                self._stop_all()

    def _pids(self) -> list[int]:
        return [child.process.pid for child in (*self._children, *self._stopping)]

    def _on_stop(self, *_: object) -> None:
        self._stops += 1  # plain numbers: a signal handler must not take a lock

    def _on_reload(self, *_: object) -> None:
        self._reloads += 1

    def _supervise(self) -> int:
        while not self._stops:
            if time.monotonic() >= self._start_after:
                while len(self._children) < self._processes:
                    self._children.append(self._start())
            time.sleep(POLL_SECONDS)
            self._service.alive()
            if all(map(Child.check_serving, self._children)):
                self._service.ready()
            self._reap_stopping()
            if self._reap_dead():
                return MISCONFIGURED
            if self._reloads:
                self._reloads = 0
                self._replace_all()
        return 0

    def _start(self) -> Child:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        inherited = (self._listener.fileno(), writer, self._folder.lock)
        try:
            process = start_child(
                ["-m", "surehook.ingest.process", "--listener", str(inherited[0]), "--serving", str(writer)],
                environ={"PROMETHEUS_MULTIPROC_DIR": str(self._folder.path)},
                pass_fds=inherited,
            )
        finally:
            os.close(writer)
        return Child(process, reader)

    def _reap_dead(self) -> bool:
        """Remove dead processes, so that others start. Returns whether none can serve with this configuration."""
        self._has_served = self._has_served or any(map(Child.check_serving, self._children))
        for child in [child for child in self._children if child.process.poll() is not None]:
            status = child.process.returncode
            self._release(child)
            self._children.remove(child)
            if status == CHILD_MISCONFIGURED and not self._has_served:
                return True  # once one has served, the others keep serving with the configuration they read
            log.error("ingest process died", extra={"status": status})
            self._deaths.inc()
            now = time.monotonic()
            pause = self._restarts.pause_before_restart(now - child.started_at)
            self._start_after = max(self._start_after, now + pause)
        return False

    def _replace_all(self) -> None:
        """Start new processes; when all of them serve, stop the old ones. If one does not, the old ones stay."""
        log.info("ingest process replacement started", extra={"count": self._processes})
        new = [self._start() for _ in range(self._processes)]
        deadline = time.monotonic() + SERVING_SECONDS
        while not all(map(Child.check_serving, new)) and not self._stops:
            ended = [child.process.returncode for child in new if child.process.poll() is not None]
            if time.monotonic() > deadline or ended:
                reason = MISTAKE if CHILD_MISCONFIGURED in ended else "the new processes do not serve"
                log.error("ingest process replacement failed", extra={"reason": reason})
                self._stopping += new
                break
            self._service.alive()
            time.sleep(POLL_SECONDS)
        else:
            self._stopping += self._children
            self._children = new
            log.info("ingest process replacement completed", extra={"count": self._processes})
        for child in self._stopping:
            self._terminate(child)

    def _terminate(self, child: Child) -> None:
        child.stop_by = min(child.stop_by, time.monotonic() + self._settings.grace + KILL_GRACE_SECONDS)
        child.process.terminate()

    def _reap_stopping(self) -> None:
        for child in self._stopping:
            if time.monotonic() > child.stop_by:
                child.process.kill()
        for child in [child for child in self._stopping if child.process.poll() is not None]:
            self._release(child)
            self._stopping.remove(child)

    def _stop_all(self) -> None:
        self._service.stopping()
        self._listener.close()
        children = self._children + self._stopping
        for child in children:
            self._terminate(child)
        deadline = max((child.stop_by for child in children), default=0.0)
        while any(child.process.poll() is None for child in children) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        for child in children:
            if child.process.poll() is None:
                child.process.kill()
            child.process.wait()
            self._release(child)

    def _release(self, child: Child) -> None:
        os.close(child.serving)
        if child.process.stdin is not None:
            child.process.stdin.close()
        self._metric_files.forget(child.process.pid)
