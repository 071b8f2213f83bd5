"""Collects the threads' trouble with the store: it is logged once, and makes `/readyz` red if it lasts."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from surehook.shared.store_errors import Meaning, StoreFault, advice, fault_of

log = logging.getLogger(__name__)

STORE_UNAVAILABLE, STORE_REFUSES, TASK_FAILS = "store_unavailable", "store_refuses", "task_fails"
STORE_REASONS = (STORE_UNAVAILABLE, STORE_REFUSES, TASK_FAILS)
# As long as a lease: by then a job whose lease is not renewed runs a second time, and due retries are late.
LONG_SECONDS = 10.0


class SetNotReady(Protocol):
    """Shows a reason for not being ready."""

    def __call__(self, reason: str, *, is_so: bool) -> None: ...


@dataclass(slots=True)
class _Trouble:
    since: float
    reason: str
    """The reason from the start on; "" if it becomes one only when it lasts."""


def _show_nothing(reason: str, *, is_so: bool) -> None:
    pass


class StoreReport:
    """The trouble of one process with its store, by task. A task is a thread, or a part of one."""

    def __init__(self, set_not_ready: SetNotReady = _show_nothing, clock: Callable[[], float] = time.monotonic) -> None:
        self._set_not_ready = set_not_ready
        self._clock = clock
        self._lock = threading.Lock()
        self._troubles: dict[str, _Trouble] = {}
        self._logged: set[tuple[str, str]] = set()
        self._shown: set[str] = set()

    def failed(self, task: str, exc: Exception, script: str = "") -> None:
        """Reports that the store did not do what a task needs. Causes are logged once until all tasks succeed."""
        fault = fault_of(exc)
        command = fault.command or script
        cause = (fault.code, command) if fault.is_lasting else (fault.meaning.name, "")
        if self._is_new(task, cause, STORE_REFUSES if fault.is_lasting else ""):
            _log(task, fault, command)

    def broke(self, task: str, exc: Exception) -> None:
        """Reports that a task raised an error that is not the store's."""
        if self._is_new(task, (task, type(exc).__name__), TASK_FAILS):
            # The log has the traceback without the message: an error's text may quote an event.
            log.error("periodic task failed", exc_info=exc, extra={"task": task})

    def succeeded(self, task: str) -> None:
        """Reports that a task did its work."""
        if task not in self._troubles:
            return
        with self._lock:
            if self._troubles.pop(task, None) is None:
                return  # another thread has reported it
            is_over = not self._troubles
            if is_over:
                self._logged.clear()
            self._show()
        if is_over:
            log.info("store available again")

    def reasons(self) -> list[str]:
        """Returns the reasons for not being ready."""
        now = self._clock()
        troubles = list(self._troubles.values())
        found = {
            each.reason or STORE_UNAVAILABLE for each in troubles if each.reason or now - each.since > LONG_SECONDS
        }
        return sorted(found)

    def _is_new(self, task: str, cause: tuple[str, str], reason: str) -> bool:
        with self._lock:
            self._troubles.setdefault(task, _Trouble(self._clock(), reason)).reason = reason
            is_new = cause not in self._logged
            self._logged.add(cause)
            self._show()
        return is_new

    def _show(self) -> None:
        reasons = set(self.reasons())
        for reason in reasons ^ self._shown:
            self._set_not_ready(reason, is_so=reason in reasons)
        self._shown = reasons


def _log(task: str, fault: StoreFault, command: str) -> None:
    facts = {"task": task, "error_type": fault.code} | ({"command": command} if command else {})
    if fault.is_lasting:
        log.error("store refuses a command", extra=facts | {"reason": advice(fault, command)})
    elif fault.meaning is Meaning.NO_REPLY:
        log.warning("store unavailable, waiting", extra=facts)
    else:
        log.warning("store refuses commands, waiting", extra=facts)
