"""Child processes that live no longer than their parent, and processes that end whatever a user's code does."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from surehook.shared.files import named_descriptors

CHILD_VARIABLE = "_SUREHOOK_STOPS_WITH_PARENT"
# Hooks at exit, threads that are not daemons, and logging handlers get this long.
EXIT_SECONDS = 5.0
LAST_LINES_SECONDS = 1.0


def start_child(
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    stdout: int | None = None,
) -> "subprocess.Popen[bytes]":
    """Starts `python ARGUMENTS` in its own session, so that Ctrl-C in the terminal reaches only the parent.

    The child's standard input is a pipe that only the parent holds: it closes when the parent dies for any reason. The
    parent writes to it to stop the child (`ask_to_stop`).
    """
    # -P: a module in the working directory must not shadow an installed one.
    return subprocess.Popen(
        [sys.executable, "-P", *arguments],
        stdin=subprocess.PIPE,
        stdout=stdout,
        start_new_session=True,
        pass_fds=(*pass_fds, *named_descriptors),
        env={**os.environ, **(environ or {}), CHILD_VARIABLE: "1"},
    )


def ask_to_stop(process: "subprocess.Popen[bytes]") -> None:
    """Asks a child that calls `watch_parent` to stop. Signals could not: its code may have handlers, or block them."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):  # it has ended
            os.write(process.stdin.fileno(), b"s")


def watch_parent(on_end: Callable[[], None]) -> bool:
    """Calls `on_end` in a thread when the parent asks this process to stop, or dies. False outside a child process."""
    if os.environ.pop(CHILD_VARIABLE, None) is None:
        return False
    pipe = os.dup(0)  # no process started from here inherits it
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def wait_for_the_end() -> None:
        os.read(pipe, 1)
        on_end()

    threading.Thread(target=wait_for_the_end, name="parent-watch", daemon=True).start()
    return True


def stop_with_parent() -> bool:
    """Sends SIGTERM to this process when its parent dies. Does nothing, and returns False, outside a child process."""
    return watch_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))


def exit_within(seconds: float, status: int) -> None:
    """Ends this process with the status after this time, if it has not ended by then."""

    def wait() -> None:
        time.sleep(seconds)
        os._exit(status)

    threading.Thread(target=wait, name="exit", daemon=True).start()


def exit_now(status: int) -> None:
    """Exits without waiting for any thread; what was logged is written."""
    exit_within(LAST_LINES_SECONDS, status)
    logging.shutdown()
    os._exit(status)


@contextlib.contextmanager
def signals_restored() -> Iterator[None]:
    """Undoes what a user's module does to signals when it is imported: the parent needs its own handlers."""
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
