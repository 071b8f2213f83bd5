"""A worker process whose watchdog or notifier fails must end, so that the supervisor replaces it."""

import subprocess
import sys

import pytest

WATCHDOG = """
from surehook.workers.execution.timeouts import Watchdog
def beat(now): raise LookupError
thread = Watchdog([], beat, lambda: None)
"""
NOTIFIER = """
from surehook.shared.keys import Keys
from surehook.workers.queue.notifier import Notifier
class Store:
    def blmove(self, *_): raise LookupError
thread = Notifier(Store(), Keys(), "events")
thread.request()
"""


@pytest.mark.parametrize("make", [pytest.param(WATCHDOG, id="watchdog"), pytest.param(NOTIFIER, id="notifier")])
def test_a_process_whose_background_thread_fails_ends_and_logs_why(make: str) -> None:
    live_on = "\nthread.start()\nthread.join()\nprint('lives on')"

    ended = subprocess.run([sys.executable, "-c", make + live_on], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert "background thread failed, worker process ends" in ended.stderr
    assert "LookupError" in ended.stderr
