"""Runs the bulk actions that were started from pages, in threads of the dashboard's process.

An action whose dashboard has ended is taken over by another one, or by the next. Its lease keeps it single.
"""

import logging
import threading
import time

from redis.exceptions import RedisError

from surehook.admin.bulk_actions import BulkAction, BulkActions, BulkState
from surehook.admin.bulk_run import BulkRun
from surehook.dashboard.act_log import log_end
from surehook.shared.store_errors import advice, fault_of
from surehook.workers.background import PeriodicThread

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
MOST_AT_ONCE = 8
STOP_SECONDS = 5.0


class BulkRunner(PeriodicThread):
    """Takes what no dashboard runs, and runs each action in a thread of its own."""

    def __init__(self, actions: BulkActions) -> None:
        super().__init__("bulk actions", LOOK_SECONDS)
        self._actions = actions
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def tick(self) -> None:
        for action in self._actions.newest():
            if action.is_for_dashboard and action.state is BulkState.INTERRUPTED:
                self.take(action)

    def take(self, action: BulkAction) -> None:
        """Begins to run a started action, unless another process does, or too many run here."""
        with self._lock:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            if self._is_stopping or len(self._threads) >= MOST_AT_ONCE:
                return
            run = BulkRun(self._actions, action, is_stopping=lambda: self._is_stopping)
            if run.take():
                name = f"bulk action {action.action_id}"
                self._threads.append(threading.Thread(target=self._run, args=(run, name), name=name, daemon=True))
                self._threads[-1].start()

    def stop_and_wait(self) -> None:
        """Stops between two steps, so that the next dashboard goes on at once."""
        self.stop()
        deadline = time.monotonic() + STOP_SECONDS
        with self._lock:
            for thread in self._threads:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, run: BulkRun, name: str) -> None:
        try:
            log_end(run.run())
            self.report.succeeded(name)
        except (RedisError, OSError) as exc:
            self.report.failed(name, exc)
            fault = fault_of(exc)
            if fault.is_lasting:
                self._end(run, advice(fault))
            # Else it is taken again when its lease has run out.
        except Exception as exc:
            log.exception("bulk action failed")
            self._end(run, f"{type(exc).__name__}: the log of the dashboard has its place")

    def _end(self, run: BulkRun, note: str) -> None:
        try:
            run.end(note)
        except (RedisError, OSError) as exc:
            self.report.failed(self.name, exc)
