"""`surehook store` as a process."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import redis

from harness.stack import wait_until
from surehook.shared.embedded import socket_path

START_SECONDS = 60


def answers(data: Path) -> bool:
    try:
        return bool(redis.Redis(unix_socket_path=str(socket_path(data))).ping())
    except redis.ConnectionError:
        return False


def is_ignored(number: signal.Signals, process: "subprocess.Popen[bytes]") -> bool:
    (ignored,) = re.findall(r"^SigIgn:\s+(\w+)$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
    return bool(int(ignored, 16) >> (number - 1) & 1)


def test_the_store_goes_on_after_a_hangup_and_stops_with_its_server(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SUREHOOK_")}
    command = [sys.executable, "-m", "surehook", "store"]
    environ |= {"SUREHOOK_DATA_DIR": "data", "SUREHOOK_API_KEYS": "a-key-for-tests-only"}
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: answers(tmp_path / "data"), "the store answers", START_SECONDS)
            assert is_ignored(signal.SIGHUP, process)  # whenever the next one is heard, a hangup has not ended it
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGTERM)

            assert process.wait(START_SECONDS) == 0
            assert not answers(tmp_path / "data")
        finally:
            process.kill()
