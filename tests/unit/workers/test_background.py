"""A process without its watchdog or its waiter is no worker: it ends, for its parent to see."""

import subprocess
import sys

import pytest

WATCHDOG = """
from surehook.workers.execution.timeouts import Watchdog
def beat(now): raise LookupError
thread = Watchdog([], beat, lambda: None)
"""
WAITER = """
from surehook.workers.queue.notifier import Notifier
class Store:
    def blmove(self, *_): raise LookupError
thread = Notifier(Store(), "events")
thread.ask()
"""


@pytest.mark.parametrize("make", [pytest.param(WATCHDOG, id="watchdog"), pytest.param(WAITER, id="waiter")])
def test_a_process_whose_vital_thread_breaks_ends_and_says_why(make: str) -> None:
    live_on = "\nthread.start()\nthread.join()\nprint('lives on')"

    ended = subprocess.run([sys.executable, "-c", make + live_on], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert "thread broke, its process ends" in ended.stderr
    assert "LookupError" in ended.stderr
