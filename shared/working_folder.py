"""The folder in which a supervisor and its processes share files, in the system's folder for temporary files.

It is removed at the supervisor's end. A supervisor that is killed leaves it behind, for the next one of its kind to
remove. A lock on a file in it shows that it is in use; the processes inherit the lock, as they may outlive their
supervisor.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LOCK = "lock"
# One without a lock is just being made, unless it is older than this.
MAKING_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class WorkingFolder:
    """A folder in use, and the descriptor of its lock, which processes are to inherit."""

    path: Path
    lock: int


@contextlib.contextmanager
def working_folder(prefix: str) -> Iterator[WorkingFolder]:
    """Makes a folder for the duration of the block, and removes those that killed processes have left."""
    remove_abandoned(prefix)
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        path = Path(name)
        lock = os.open(path / f"{LOCK}.new", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (path / f"{LOCK}.new").rename(path / LOCK)  # the file is locked before another supervisor finds it
            yield WorkingFolder(path, lock)
        finally:
            os.close(lock)


def remove_abandoned(prefix: str) -> None:
    """Removes the folders of killed processes. Those of other users, and any that cannot be removed, stay."""
    for path in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            if _is_ours(path) and _is_abandoned(path):
                shutil.rmtree(path, ignore_errors=True)


def _is_ours(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and path.stat().st_uid == os.getuid()


def _is_abandoned(path: Path) -> bool:
    try:
        lock = os.open(path / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return time.time() - path.stat().st_mtime > MAKING_SECONDS
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(lock)
