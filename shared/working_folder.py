"""The folder in which a supervisor and its processes share files, in the system's folder for temporary files.

It is removed at the supervisor's end. A supervisor that is killed leaves it behind, for the next one of its kind to
remove. A lock on the folder shows that it is in use; the processes inherit it, as they may outlive their supervisor.
systemd-tmpfiles, which removes old files, spares a locked folder as well.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WorkingFolder:
    """A folder in use, and the descriptor of its lock, which processes are to inherit."""

    path: Path
    lock: int


@contextlib.contextmanager
def working_folder(prefix: str) -> Iterator[WorkingFolder]:
    """Makes a folder for the duration of the block, and removes those that killed processes have left."""
    _remove_abandoned(prefix)
    folder = _make(prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder.path, ignore_errors=True)
        os.close(folder.lock)


def _make(prefix: str) -> WorkingFolder:
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix))
        with contextlib.suppress(FileNotFoundError):
            lock = _open(path)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                return WorkingFolder(path, lock)
            os.close(lock)  # another supervisor has taken it for an abandoned one


def _remove_abandoned(prefix: str) -> None:
    """Removes the folders of killed processes. Those of other users, and any that cannot be removed, stay."""
    for path in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            _remove_unless_locked(path)


def _remove_unless_locked(path: Path) -> None:
    """
    Raises:
        OSError: it is in use, a file, a link, or gone.
    """
    lock = _open(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_uid == os.getuid():
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
