"""Child processes that live no longer than their parent."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence


def start_child(
    arguments: Sequence[str], *, environ: Mapping[str, str] | None = None, pass_fds: Sequence[int] = ()
) -> "subprocess.Popen[bytes]":
    """Starts `python ARGUMENTS` in its own session, so that Ctrl-C in the terminal reaches only the parent.

    The child's standard input is a pipe that only the parent holds: it closes when the parent dies for any reason.
    """
    # -P: a module in the working directory must not shadow an installed one.
    return subprocess.Popen(
        [sys.executable, "-P", *arguments],
        stdin=subprocess.PIPE,
        start_new_session=True,
        pass_fds=pass_fds,
        env={**os.environ, **(environ or {}), CHILD_VARIABLE: "1"},
    )


CHILD_VARIABLE = "_SUREHOOK_STOPS_WITH_PARENT"


def stop_with_parent() -> bool:
    """Sends SIGTERM to this process when its parent dies. Does nothing, and returns False, outside a child process."""
    if os.environ.pop(CHILD_VARIABLE, None) is None:
        return False

    def wait_for_the_end() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait_for_the_end, name="parent-watch", daemon=True).start()
    return True
