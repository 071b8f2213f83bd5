"""The parent of one worker process, started by the supervisor: ends what the worker process has started, with it.

1. It makes itself the new parent of orphans, so that no descendant escapes, not even one in a session of its own.
2. It starts the worker process, which is killed if this process dies.
3. It passes signals on, and kills the worker process if that outlives the supervisor by more than the grace period.
4. When the worker process has ended, it kills every descendant that is left, and exits with the same status.

It is run as a script and uses little of the standard library, because there is one for each worker process.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Collection

KILL_SIGNAL, SHOW_STACKS_SIGNAL = signal.SIGUSR1, signal.SIGUSR2
PASSED_ON: dict[int, int] = {
    signal.SIGTERM: signal.SIGTERM,
    SHOW_STACKS_SIGNAL: SHOW_STACKS_SIGNAL,
    KILL_SIGNAL: signal.SIGKILL,
}
SUPERVISOR_PIPE = 0
MARGIN_SECONDS = 2.0
CLEANING_SECONDS = 5.0
POLL_SECONDS = 0.005
NO_LOCK = -1
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # Linux; elsewhere the process group is all there is


def main(grace_seconds: float, lock: int, command: list[str]) -> None:
    """Runs until the worker process has ended."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (*PASSED_ON, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    adopt_orphans()
    worker = start(command, lock)
    status = watch(worker, grace_seconds, reader)
    kill(-worker)  # its process group: all there is on systems other than Linux
    kill_descendants()
    exit_like(status)


def adopt_orphans() -> bool:
    """Makes this process the new parent of its descendants' orphans. False where the system cannot."""
    return prctl(_PR_SET_CHILD_SUBREAPER, 1)


def start(command: list[str], lock: int) -> int:
    """`lock`: the descriptor of the lock of the supervisor's folder."""
    guard = os.getpid()
    worker = os.fork()
    if worker:
        return worker
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guard:  # it died before that
        os._exit(1)
    # It stays with this guard, which outlives the worker process: programs that handlers start would inherit it. The
    # other descriptors are files that settings name.
    if lock != NO_LOCK:
        os.close(lock)
    os.setsid()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and a new program would inherit that
        signal.signal(number, signal.SIG_DFL)
    os.execv(command[0], command)  # noqa: S606 - our own command
    return 0


def watch(worker: int, grace_seconds: float, signals: int) -> int:
    """Waits for the worker process, and returns its wait status."""
    poll = select.poll()
    poll.register(signals, select.POLLIN)
    poll.register(SUPERVISOR_PIPE, 0)  # only its end: what the supervisor writes is for the worker process
    deadline = float("inf")
    while True:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            os.kill(worker, signal.SIGKILL)
            deadline = float("inf")
            continue
        for descriptor, _ in poll.poll(None if seconds == float("inf") else seconds * 1000):
            if descriptor == SUPERVISOR_PIPE:
                poll.unregister(SUPERVISOR_PIPE)
                deadline = time.monotonic() + grace_seconds + MARGIN_SECONDS
                continue
            received = os.read(signals, 64)
            for number in received:
                if number in PASSED_ON:
                    os.kill(worker, PASSED_ON[number])
        ended = reap()
        if worker in ended:
            return ended[worker]


def reap() -> dict[int, int]:
    """The wait statuses of children that have ended: the worker process, and orphans."""
    ended: dict[int, int] = {}
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = found[1]
    return ended


def kill_descendants(spared: Collection[int] = ()) -> None:
    """Kills children until there are none: those of a killed process become children of this one."""
    give_up_at = time.monotonic() + CLEANING_SECONDS
    while (found := [child for child in children() if child not in spared]) and time.monotonic() < give_up_at:
        for child in found:
            kill(child)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, os.WNOHANG)
        time.sleep(POLL_SECONDS)


def children() -> list[int]:
    """The children of this process, where /proc shows them."""
    names = os.listdir("/proc") if os.path.isdir("/proc") else []  # noqa: PTH112, PTH208 - without pathlib
    return [int(name) for name in names if name.isdigit() and parent_of(int(name)) == os.getpid()]


def parent_of(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - without pathlib
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):  # it has ended
        return 0


def kill(pid: int) -> None:
    with contextlib.suppress(OSError):  # it has ended, or belongs to another user
        os.kill(pid, signal.SIGKILL)


def exit_like(status: int) -> None:
    """Ends as the worker process did, by the same signal if it was one."""
    if os.WIFSIGNALED(status):
        import resource  # noqa: PLC0415 - rarely needed

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))


def prctl(option: int, value: int) -> bool:
    try:
        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    except (AttributeError, OSError):  # not Linux
        return False


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
