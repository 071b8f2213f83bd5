"""Processes that a handler starts end with its worker process, and inherit what any Python program would pass on."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.processes import children_of, has_ended
from harness.stack import Stack, wait_until

Build = Callable[..., Stack]
STARTS = """
import multiprocessing, subprocess, sys
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
DAEMON = '''
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
with open(os.environ["EFFECTS"], "a") as file: print("daemon", os.getpid(), file=file)
time.sleep(600)
'''

@on("user.delete", name="starts", timeout=float(os.environ["RUN_SECONDS"]))
def starts(event, attempt):
    if attempt.number > 1: return
    effect("plain", subprocess.Popen(SLEEP).pid)
    effect("session", subprocess.Popen(SLEEP, start_new_session=True).pid)
    subprocess.run([sys.executable, "-c", DAEMON])
    forked = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    forked.start()
    effect("forked", forked.pid)
    parent = subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE)
    effect("grandchild", int(parent.stdout.readline()))
    if os.environ["RUN_SECONDS"] != "60.5": time.sleep(600)
"""
KINDS = {"plain", "session", "daemon", "forked", "grandchild"}


def stop_in_time(stack: Stack, worker: "subprocess.Popen[bytes]") -> None:
    """Waits for the timeout, which the handler does not notice."""
    wait_until(lambda: "worker process killed, handler does not stop" in stack.logged())


def recycle(stack: Stack, worker: "subprocess.Popen[bytes]") -> None:
    wait_until(lambda: "worker process recycled" in stack.logged())


def kill_the_process(stack: Stack, worker: "subprocess.Popen[bytes]") -> None:
    for pid in stack.worker_pids():
        os.kill(pid, signal.SIGKILL)


def kill_its_guard(stack: Stack, worker: "subprocess.Popen[bytes]") -> None:
    for pid in children_of(worker.pid):
        os.kill(pid, signal.SIGKILL)


def kill_the_supervisor(stack: Stack, worker: "subprocess.Popen[bytes]") -> None:
    worker.kill()


def kill_supervisor_and_process(stack: Stack, worker: "subprocess.Popen[bytes]") -> None:
    pids = stack.worker_pids()
    worker.kill()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def stop(stack: Stack, worker: "subprocess.Popen[bytes]") -> None:
    worker.terminate()


@pytest.mark.parametrize(
    ("end", "environ"),
    [
        pytest.param(stop_in_time, {"RUN_SECONDS": "1"}, id="timeout"),
        pytest.param(kill_the_process, {}, id="kill -9"),
        pytest.param(
            recycle, {"SUREHOOK_RECYCLE_JOBS": "1", "RUN_SECONDS": "60.5"}, id="recycled", marks=pytest.mark.chaos
        ),
        pytest.param(kill_its_guard, {}, id="kill -9 of its guard", marks=pytest.mark.chaos),
        pytest.param(kill_the_supervisor, {}, id="kill -9 of its supervisor"),
        pytest.param(kill_supervisor_and_process, {}, id="kill -9 of both", marks=pytest.mark.chaos),
        pytest.param(stop, {}, id="SIGTERM", marks=pytest.mark.chaos),
    ],
)
def test_what_a_handler_starts_ends_with_its_process(
    end: Callable[..., None], environ: dict[str, str], build_stack: Build
) -> None:
    stack = build_stack(STARTS)
    stack.start_ingest()
    worker = stack.start_worker("--threads", "2", **{"SUREHOOK_GRACE": "1", "RUN_SECONDS": "60", **environ})
    stack.deliver()
    wait_until(lambda: {line.split()[0] for line in stack.effects()} == KINDS, "it has started them", seconds=60)
    started = {line.split()[0]: int(line.split()[1]) for line in stack.effects()}

    end(stack, worker)

    wait_until(lambda: all(map(has_ended, started.values())), "they have ended", seconds=60)


PROBE = """
import json, os, signal
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "environ": {k: v for k, v in os.environ.items() if k != "RUN_SECONDS"},
    "stdin": os.readlink("/proc/self/fd/0"),
    "descriptors": len(os.listdir("/proc/self/fd")),
    "blocked": status["SigBlk"].strip(),
    "ignored": status["SigIgn"].strip(),
    "cwd": os.getcwd(),
    "umask": status["Umask"].strip(),
    "nice": os.nice(0),
}))
"""
RUNS = f"""
import multiprocessing, subprocess, sys
PROBE = {PROBE!r}

def show(**options):
    effect(subprocess.check_output([sys.executable, "-c", PROBE], text=True, **options).strip())

@on("*", name="it", timeout=60)
def it(event):
    show()
    show(env={{**os.environ}})
    show(close_fds=False)
    show(restore_signals=False)
    stopped = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    stopped.start()
    stopped.terminate()
    stopped.join(30)
    effect(stopped.exitcode)
"""


def test_a_handlers_program_inherits_what_any_python_program_would_pass_on(build_stack: Build, tmp_path: Path) -> None:
    stack = build_stack(RUNS)
    plain = tmp_path / "plain.py"
    plain.write_text(
        f"import os, signal, subprocess, sys\nPROBE = {PROBE!r}\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a worker reloads at it, also when started with nohup\n"
        "for options in ({}, {'env': {**os.environ}}, {'close_fds': False}, {'restore_signals': False}):\n"
        "    subprocess.run([sys.executable, '-c', PROBE], **options)\n"
    )
    expected = subprocess.check_output(
        [sys.executable, plain], cwd=stack.folder, env=stack.environ, stdin=subprocess.DEVNULL, text=True
    )
    stack.start_ingest()
    stack.start_worker()
    stack.deliver()
    wait_until(lambda: len(stack.effects()) == 5, seconds=90)

    *shown, exit_code = stack.effects()
    assert [json.loads(line) for line in shown] == [json.loads(line) for line in expected.splitlines()]
    assert int(exit_code) == -signal.SIGTERM
