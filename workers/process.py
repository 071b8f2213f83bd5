"""A worker process: started by the supervisor, for one queue, with several handler threads."""

import argparse
import faulthandler
import gc
import io
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surehook.shared.child_processes import EXIT_SECONDS, LAST_LINES_SECONDS, exit_now, exit_within, watch_parent
from surehook.shared.errors import IncompatibleStore, Misconfigured
from surehook.shared.exit_status import CHILD_INCOMPATIBLE, CHILD_MISCONFIGURED, FAILED
from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.shared.log import set_up_logging, withstand_configuration
from surehook.shared.settings import Settings, load_settings
from surehook.shared.tracebacks import take_display
from surehook.shared.tracing import open_traces
from surehook.shared.transactional_events import transactional_types
from surehook.shared.visible import visible
from surehook.workers.announcement import ALL_QUEUES, ANNOUNCEMENT_SUFFIX, ITS_QUEUE, announce, queues_of
from surehook.workers.guard import SHOW_STACKS_SIGNAL
from surehook.workers.handlers.hooks import declared_arounds
from surehook.workers.handlers.loader import load_handlers, require_agreement
from surehook.workers.handlers.registry import Registry
from surehook.workers.launcher import Launcher, QueueLauncher
from surehook.workers.metrics import take_metrics_folder
from surehook.workers.rights import require_rights
from surehook.workers.slots import STACKS_SUFFIX, Slots
from surehook.workers.transactional_launcher import TransactionalLauncher

if TYPE_CHECKING:
    from surehook.shared.otel import Traces

log = logging.getLogger("surehook.workers.process")  # __name__ is __main__ here, which may be a user's logger

# Threads that compute yield to the fetcher this often (Python's default is 5 ms).
SWITCH_INTERVAL_SECONDS = 0.001
# An event leaves hundreds of objects and no cycles: with Python's 700, every second event caused a collection.
GARBAGE_THRESHOLD = (10_000, 20, 20)
DEFAULT_HANDLERS: dict[int, Any] = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
POLL_SECONDS = 0.05
LOOK_FOR_SIGNALS_SECONDS = 0.5
IDLE_STOP_SECONDS = 0.5


def main() -> int:
    """Runs until the parent asks it to stop, then lets running handlers finish. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="surehook.workers.process")
    parser.add_argument("--queue", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--slots", type=Path, required=True)
    parser.add_argument("--grace", type=float, required=True)
    parser.add_argument("--announce", choices=(ALL_QUEUES, ITS_QUEUE))
    arguments = parser.parse_args()
    stops: list[int] = []
    _handle_signals(stops)
    _buffer_lines()
    # The supervisor asks for all stacks before it kills. Answered in C, so even while a handler holds Python's lock.
    stacks = arguments.slots.with_suffix(STACKS_SUFFIX).open("w")
    faulthandler.register(SHOW_STACKS_SIGNAL, file=stacks, all_threads=True)
    watch_parent(lambda: _stop(stops, arguments.grace))
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    status = _load_and_run(arguments, stops)
    exit_within(EXIT_SECONDS, status)
    return status


def _handle_signals(stops: list[int]) -> None:
    """Not ignored: programs that handlers start would inherit that."""
    signal.signal(signal.SIGTERM, lambda number, _: stops.append(number))
    signal.signal(signal.SIGINT, lambda *_: None)
    handlers = {number: signal.getsignal(number) for number in DEFAULT_HANDLERS}
    before = threading.local()

    def block() -> None:
        before.mask = signal.pthread_sigmask(signal.SIG_BLOCK, DEFAULT_HANDLERS)

    def unblock() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before.mask)

    def restore() -> None:
        """A forked process has Python's own handlers from its first moment, so that it can be terminated."""
        for number, default in DEFAULT_HANDLERS.items():
            if signal.getsignal(number) is handlers[number]:
                signal.signal(number, default)
        unblock()

    os.register_at_fork(before=block, after_in_parent=unblock, after_in_child=restore)


def _stop(stops: list[int], grace_seconds: float) -> None:
    """Asks the process to stop, and ends it after the grace period, whatever a user's code does."""
    stops.append(signal.SIGTERM)
    time.sleep(grace_seconds + LAST_LINES_SECONDS)
    os._exit(FAILED)


def _load_and_run(arguments: argparse.Namespace, stops: list[int]) -> int:
    try:
        settings = load_settings()
        take_metrics_folder()
        set_up_logging(settings.log_level, settings.log_format, runs_handlers=True, shows_tracebacks=take_display())
        registry = load_handlers(settings.handlers, Path.cwd())
        withstand_configuration()
        _check(settings, registry, arguments)
        traces = _surround_with_spans(settings, arguments.queue)
    except Misconfigured as exc:
        sys.stderr.write(f"{visible(str(exc))}\n")
        return CHILD_MISCONFIGURED
    gc.freeze()  # all objects so far are permanent: collections skip them
    gc.set_threshold(*GARBAGE_THRESHOLD)
    status = [FAILED]

    def run() -> None:
        try:
            status[0] = _run(_launcher(settings, registry, arguments), stops, arguments.grace)
        except IncompatibleStore as exc:
            log.error("store not usable", extra={"reason": str(exc)})  # noqa: TRY400 - the sentence says it all
            status[0] = CHILD_INCOMPATIBLE
        except Exception:
            # The log has the traceback without the message: an error's text may quote an event.
            log.exception("worker process failed", extra={"queue": arguments.queue})
        finally:
            has_ended.set()

    has_ended = threading.Event()
    threading.Thread(target=run, name="main").start()
    _wait_beside_signals(has_ended, stops)
    if traces is not None:
        traces.close()
    return status[0]


def _check(settings: Settings, registry: Registry, arguments: argparse.Namespace) -> None:
    """Checks that the handlers fit the settings. The first process of a plan checks all that a start does.

    Raises:
        Misconfigured: says what to change.
    """
    queues: tuple[str, ...] = (arguments.queue,)
    if arguments.announce is not None:
        queues = queues_of(registry, None if arguments.announce == ALL_QUEUES else arguments.queue)
    if TRANSACTIONAL_QUEUE in queues:
        require_agreement(registry, transactional_types(settings.transactional_events))
    if arguments.announce is not None:
        require_rights(settings)
        announce(arguments.slots.with_suffix(ANNOUNCEMENT_SUFFIX), registry, queues)


def _surround_with_spans(settings: Settings, queue: str) -> "Traces | None":
    """After the user's modules, which may set up traces of their own."""
    traces = open_traces("surehook-worker")
    if traces is not None:
        from surehook.workers.execution.tracing import SenderTraces, run_spans  # noqa: PLC0415 - only there with the extra

        is_transactional = queue == TRANSACTIONAL_QUEUE
        declared_arounds.insert(0, run_spans(traces, SenderTraces(settings), are_children=is_transactional))
    return traces


def _wait_beside_signals(has_ended: threading.Event, stops: list[int]) -> None:
    """Waits in the main thread, where signal handlers of a user's module run, which may raise or block.

    The system may deliver a signal to another thread, and that does not wake this one.
    """
    while not has_ended.is_set():
        try:
            has_ended.wait(LOOK_FOR_SIGNALS_SECONDS)
        except BaseException:  # noqa: BLE001 - SystemExit most often, which asks this process to stop
            stops.append(signal.SIGTERM)


def _buffer_lines() -> None:
    """Write each line that a handler prints immediately; Python would keep it in a buffer, and lose it in a kill."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


def _launcher(settings: Settings, registry: Registry, arguments: argparse.Namespace) -> Launcher:
    slots = Slots(arguments.slots)
    slots.pid = os.getpid()
    if arguments.queue == TRANSACTIONAL_QUEUE:
        return TransactionalLauncher(settings, registry, slots, arguments.name, arguments.threads)
    return QueueLauncher(settings, registry, slots, arguments.queue, arguments.name, arguments.threads)


def _run(launcher: Launcher, stops: list[int], grace_seconds: float) -> int:
    if not launcher.resources.open(stops) or not launcher.start(stops):
        launcher.resources.close()
        return 0
    log.info("worker takes events", extra={"queue": launcher.queue})
    while launcher.is_running() and not stops and launcher.guard.refusal is None:
        time.sleep(POLL_SECONDS)
    launcher.stop()
    stopped_at = busy_at = time.monotonic()
    while launcher.is_running():
        time.sleep(POLL_SECONDS)
        now = time.monotonic()
        busy_at = now if launcher.has_jobs() else busy_at
        if now - busy_at > IDLE_STOP_SECONDS:
            # Its last exchange waits for a store that does not answer; the supervisor recovers any claims of the reply.
            exit_now(0)
        if stops and now - stopped_at > grace_seconds:
            log.warning("stopped with handlers running, the supervisor gives their jobs back")
            exit_now(FAILED)
    launcher.close()
    if launcher.guard.refusal is not None:
        raise launcher.guard.refusal
    return FAILED if launcher.has_broken() else 0


if __name__ == "__main__":
    sys.exit(main())
