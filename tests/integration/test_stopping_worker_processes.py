"""Whatever a user's code does, a worker process stops when its parent asks it to or dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from harness.stack import wait_until
from surehook.shared.child_processes import ask_to_stop, start_child
from surehook.shared.keys import Keys
from surehook.workers.slots import Slots
from tests.integration.conftest import Accept

GRACE_SECONDS = 3.0
LATEST_SECONDS = GRACE_SECONDS + 8  # a loaded machine; none of these processes would end by itself
HANDLER = """
from surehook import on
@on("user.delete", name="slow", timeout=60)
def slow(event):
    open("began", "w").close()
    time.sleep(600)
@on("user.create", name="quick")
def quick(event): pass
"""
FOREVER = "\n    while True:\n        try: time.sleep(600)\n        except BaseException: pass\n"
SIGNALS = "(signal.SIGTERM, signal.SIGINT, signal.SIGUSR2, signal.SIGCHLD, signal.SIGALRM)"
MODULES = {
    "its own signal handlers": f"for each in {SIGNALS}: signal.signal(each, lambda *_: None)\n",
    "signals ignored": f"for each in {SIGNALS}: signal.signal(each, signal.SIG_IGN)\n",
    "signals blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n",
    "a thread and a hook at exit that hang": f"def hang():{FOREVER}"
    "threading.Thread(target=hang).start()\natexit.register(hang)\n",
    "a logging handler that hangs": f"class Hangs(logging.Handler):\n  def flush(self):{FOREVER}"
    "logging.root.addHandler(Hangs())\n",
    "faulthandler": "faulthandler.unregister(signal.SIGUSR2); faulthandler.enable(); signal.set_wakeup_fd(-1)\n",
}
Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path, data_dir: Path, store: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a worker process as its supervisor does."""
    monkeypatch.chdir(tmp_path)
    started: list[subprocess.Popen[bytes]] = []

    def start(module: str) -> "subprocess.Popen[bytes]":
        head = "import atexit, faulthandler, logging, os, signal, sys, threading, time\n"
        (tmp_path / "theirs.py").write_text(head + module)
        Slots.create(tmp_path / "slots", 64)
        environ = {
            "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
            "SUREHOOK_DATA_DIR": str(data_dir),
            "SUREHOOK_HANDLERS": "theirs",
        }
        arguments = ["--queue", "events", "--name", "one", "--threads", "2", "--slots", str(tmp_path / "slots")]
        module_arguments = ["-m", "surehook.workers.process", *arguments, "--grace", str(GRACE_SECONDS)]
        started.append(start_child(module_arguments, environ=environ))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def takes_events(store: redis.Redis) -> bool:
    return bool(store.smembers("rq:workers"))


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES.keys())
def test_an_idle_process_stops_when_its_parent_dies(module: str, start: Start, store: redis.Redis) -> None:
    process = start(module + HANDLER)
    wait_until(lambda: takes_events(store), "it takes events")

    assert process.stdin is not None
    process.stdin.close()

    process.wait(LATEST_SECONDS)


def test_an_idle_process_stops_while_its_signal_handler_hangs(start: Start, store: redis.Redis, tmp_path: Path) -> None:
    hang = f"def hang(*_):\n    open('hangs', 'w').close(){FOREVER}signal.signal(signal.SIGALRM, hang)\n"
    process = start(hang + HANDLER)
    # Not before: the main thread that hangs is the one that begins to take events.
    wait_until(lambda: takes_events(store), "it takes events")
    process.send_signal(signal.SIGALRM)
    wait_until((tmp_path / "hangs").exists, "its signal handler hangs")

    assert process.stdin is not None
    process.stdin.close()

    process.wait(LATEST_SECONDS)


@pytest.mark.parametrize("module", ["", MODULES["its own signal handlers"]], ids=["", "its own signal handlers"])
def test_a_busy_process_stops_after_the_grace_period(
    module: str, start: Start, store: redis.Redis, accept: Accept, tmp_path: Path
) -> None:
    accept("user.delete")
    process = start(module + HANDLER)
    wait_until((tmp_path / "began").exists, "its handler runs")

    ask_to_stop(process)
    asked_at = time.monotonic()

    wait_until(lambda: accept("user.create") and process.poll() is not None, seconds=LATEST_SECONDS)
    assert time.monotonic() - asked_at >= GRACE_SECONDS - 1
    assert store.llen("rq:queue:events") > 0, "it took no more events"


def test_a_signal_handler_that_exits_asks_the_process_to_stop_and_its_handlers_finish(
    start: Start, store: redis.Redis, accept: Accept, tmp_path: Path
) -> None:
    accept("user.delete")
    process = start("signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n" + HANDLER.replace("600", "1"))
    wait_until((tmp_path / "began").exists, "its handler runs")

    process.send_signal(signal.SIGTERM)

    assert process.wait(LATEST_SECONDS) == 0
    assert store.zcard(Keys().open) == 0


def test_a_module_that_hangs_at_import_does_not_keep_the_process(start: Start, tmp_path: Path) -> None:
    process = start(f"def hang():{FOREVER}open('began', 'w').close()\nhang()\n")
    wait_until((tmp_path / "began").exists, "it is imported")

    ask_to_stop(process)

    process.wait(LATEST_SECONDS)


def test_a_module_that_exits_at_import_is_a_mistake_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys\nsys.exit(0)\n")

    ran = subprocess.run(
        [str(Path(sys.executable).with_name("surehook")), "worker"],
        cwd=tmp_path,
        env={**os.environ, "SUREHOOK_HANDLERS": "script"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 2
    assert "script does not import: SystemExit" in ran.stderr
