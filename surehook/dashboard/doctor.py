"""Runs `surehook doctor` when a page asks for it, and keeps what it found last.

It is a process of its own: it imports the handlers and calls FusionAuth, which no page that is refreshed should do. A
guard, as each worker process has one, ends it with the dashboard, together with what the handlers have started.
"""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from surehook.shared.child_processes import start_child
from surehook.workers import guard

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-P", "-m", "surehook", "doctor", "--json")
TIMEOUT_SECONDS = 120.0
FINE = "ok"
SERIOUS = ("loses events", "blocks users")


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding of the doctor, as its JSON has it."""

    group: str
    level: str
    wrong: str
    means: str
    change: str

    @property
    def is_serious(self) -> bool:
        return self.level in SERIOUS


@dataclass(frozen=True, slots=True)
class Examination:
    """The findings of one run of the doctor."""

    at: datetime
    findings: tuple[Finding, ...]
    failure: str = ""
    """Why it found nothing: it could not be run."""

    @property
    def serious(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.is_serious)


class Doctor:
    """The last examination, and the one that runs now."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.last: Examination | None = None

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def run_soon(self) -> None:
        """Runs it in a thread, unless it runs."""
        with self._lock:
            if not self.is_running:
                self._thread = threading.Thread(target=self._run, name="doctor", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        findings: tuple[Finding, ...] = ()
        failure = ""
        try:
            findings = _examine()
        except subprocess.TimeoutExpired:
            failure = f"it had not ended after {TIMEOUT_SECONDS:.0f} seconds"
        except (OSError, ValueError, LookupError, TypeError) as exc:  # or it printed something else
            failure = f"it could not be run ({type(exc).__name__})"
        if failure:
            log.warning("doctor did not end", extra={"reason": failure})
        self.last = Examination(datetime.fromtimestamp(self._clock(), UTC), findings, failure)


def _examine() -> tuple[Finding, ...]:
    # Handlers may print when they are imported; the result is the last line.
    found: dict[str, Any] = json.loads(_output().decode().strip().rpartition("\n")[2])
    return tuple(
        Finding(each["group"], each["level"], each["wrong"], each["means"], each["change"])
        for each in found["findings"]
    )


def _output() -> bytes:
    arguments = ["-IS", guard.__file__, "0", str(guard.NO_LOCK), *COMMAND]
    with start_child(arguments, stdout=subprocess.PIPE) as process:
        lifeline, process.stdin = process.stdin, None  # `communicate` would close it: the guard ends the doctor then
        with lifeline or nullcontext():
            return process.communicate(timeout=TIMEOUT_SECONDS)[0]
