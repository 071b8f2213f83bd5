"""The doctor that a page has started ends with its dashboard, whatever the handlers do that it imports."""

import os
import re
import signal
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest

from harness.processes import has_ended
from harness.stack import Stack, wait_until
from tests.e2e.test_dashboard import answers

# The first waits; the second does not let go of Python's lock, so no thread of its process runs.
WAITS, HOLDS = "time.sleep(600)", "re.match('(a+)+$', 'a' * 60 + 'b')"
HANDLERS = """
import re, subprocess, sys
effect(os.getpid())
effect(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid)
"""


@pytest.mark.parametrize(
    ("number", "hangs"), [(signal.SIGTERM, WAITS), (signal.SIGKILL, HOLDS)], ids=["SIGTERM", "kill -9"]
)
def test_a_running_doctor_ends_with_its_dashboard(number: int, hangs: str, build_stack: Callable[..., Stack]) -> None:
    stack = build_stack(HANDLERS + hangs)
    dashboard = stack.surehook("dashboard")
    url = f"http://127.0.0.1:{stack.dashboard_port}"
    wait_until(lambda: answers(url), "the dashboard answers")
    token = re.search(r'name="token" value="(\w+)"', httpx.get(f"{url}/doctor").text)
    assert token
    assert httpx.post(f"{url}/doctor", data={"token": token[1]}).status_code == 303
    wait_until(lambda: len(stack.effects()) == 2, "the doctor imports the handlers")

    dashboard.send_signal(number)
    dashboard.wait(10)

    try:
        wait_until(lambda: all(has_ended(int(pid)) for pid in stack.effects()), "they have ended", seconds=10)
    finally:
        for pid in stack.effects():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
