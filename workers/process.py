"""A worker process: started by the supervisor, for one queue, with several handler threads."""

import argparse
import faulthandler
import gc
import io
import logging
import os
import signal
import sys
import time
from pathlib import Path

from surehook.shared.child_processes import stop_with_parent
from surehook.shared.errors import Misconfigured
from surehook.shared.exit_status import CHILD_MISCONFIGURED, FAILED
from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.shared.log import set_up_logging
from surehook.shared.settings import Settings, load_settings
from surehook.shared.transactional_events import transactional_types
from surehook.workers.handlers.loader import load_handlers, require_agreement
from surehook.workers.handlers.registry import Registry
from surehook.workers.launcher import Launcher, QueueLauncher, TransactionalLauncher
from surehook.workers.slots import Slots

log = logging.getLogger(__name__)

# The supervisor asks for all stacks before it kills. Answered in C, so even while a handler holds Python's lock.
SHOW_STACKS_SIGNAL = signal.SIGUSR2
# Threads that compute yield to the fetcher this often (Python's default is 5 ms).
SWITCH_INTERVAL_SECONDS = 0.001
# An event leaves hundreds of objects and no cycles: with Python's 700, every second event caused a collection.
GARBAGE_THRESHOLD = (10_000, 20, 20)
STDERR = 2
POLL_SECONDS = 0.05
IDLE_STOP_SECONDS = 0.5


def main() -> int:
    """Runs until SIGTERM, then lets running handlers finish. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="surehook.workers.process")
    parser.add_argument("--queue", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--slots", type=Path, required=True)
    parser.add_argument("--grace", type=float, required=True)
    arguments = parser.parse_args()
    stops: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stops.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _buffer_lines()
    faulthandler.register(SHOW_STACKS_SIGNAL, file=STDERR, all_threads=True)
    stop_with_parent()
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    try:
        settings = load_settings()
        set_up_logging(settings.log_level, settings.log_format)
        registry = load_handlers(settings.handlers, Path.cwd())
        if arguments.queue == TRANSACTIONAL_QUEUE:
            require_agreement(registry, transactional_types(settings.transactional_events))
    except Misconfigured as exc:
        sys.stderr.write(f"{exc}\n")
        return CHILD_MISCONFIGURED
    gc.freeze()  # all objects so far are permanent: collections skip them
    gc.set_threshold(*GARBAGE_THRESHOLD)
    try:
        return _run(_launcher(settings, registry, arguments), stops, arguments.grace)
    except Exception:
        # The log has the traceback without the message: an error's text may quote an event.
        log.exception("worker process failed", extra={"queue": arguments.queue})
        return FAILED


def _buffer_lines() -> None:
    """Write each line that a handler prints immediately; Python would keep it in a buffer, and lose it in a kill."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


def _launcher(settings: Settings, registry: Registry, arguments: argparse.Namespace) -> Launcher:
    slots = Slots(arguments.slots)
    if arguments.queue == TRANSACTIONAL_QUEUE:
        return TransactionalLauncher(settings, registry, slots, arguments.name, arguments.threads)
    return QueueLauncher(settings, registry, slots, arguments.queue, arguments.name, arguments.threads)


def _run(launcher: Launcher, stops: list[int], grace_seconds: float) -> int:
    if not launcher.start(stops):
        return 0
    log.info("worker takes events", extra={"queue": launcher.queue})
    while launcher.is_running() and not stops:
        time.sleep(POLL_SECONDS)
    launcher.stop()
    stopped_at = busy_at = time.monotonic()
    while launcher.is_running():
        time.sleep(POLL_SECONDS)
        now = time.monotonic()
        busy_at = now if launcher.has_jobs() else busy_at
        if now - busy_at > IDLE_STOP_SECONDS:
            # Its last exchange waits for a store that does not answer; the supervisor recovers any claims of the reply.
            _exit(0)
        if stops and now - stopped_at > grace_seconds:
            log.warning("stopped with handlers running, the supervisor gives their jobs back")
            _exit(FAILED)
    launcher.close()
    return FAILED if launcher.has_broken() else 0


def _exit(status: int) -> None:
    """Exits immediately: threads may be blocked where no exception reaches them."""
    logging.shutdown()
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
