"""The folder of the spool: one database for each ingest process, locked while its process lives.

A lock (flock) ends with its process, however that ends and whatever its pid was. A database whose lock is free was left
by a dead process.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from surehook.shared.errors import Misconfigured

SUFFIX = ".sqlite3"
LOCK_SUFFIX = ".lock"
ASIDE_SUFFIX = ".set-aside"
COMPANIONS = ("-wal", "-shm", "-journal")
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG}  # not a matter of settings
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600  # they hold the bodies of events


class LockedPath:
    """The path of a database that belongs to this process."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @property
    def has_only_a_log(self) -> bool:
        """True if the file was emptied, but not the log with its newest pages."""
        return not _size(f"{self.path}") and bool(_size(f"{self.path}-wal"))

    def release(self) -> None:
        """Leave the database to the next process."""
        os.close(self._lock)

    def delete(self) -> None:
        """Delete the database, which is empty and closed."""
        for companion in (*COMPANIONS, ""):
            Path(f"{self.path}{companion}").unlink(missing_ok=True)
        self.path.with_suffix(LOCK_SUFFIX).unlink(missing_ok=True)
        self.release()

    def set_aside(self) -> None:
        """Rename the database, which is closed, so that no process opens it: its own file first."""
        for companion in ("", *COMPANIONS):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}{companion}").rename(f"{self.path}{ASIDE_SUFFIX}{companion}")
        self.path.with_suffix(LOCK_SUFFIX).unlink(missing_ok=True)
        self.release()


class SpoolFolder:
    """SPOOL_DIR."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            Misconfigured: it cannot be made or written to.
            OSError: the disk is full, read-only or broken.
        """
        with self._translated():
            self.path.mkdir(parents=True, exist_ok=True)
            self.path.chmod(PRIVATE_FOLDER)

    def new(self) -> LockedPath:
        """Lock the name of a new database.

        Raises:
            Misconfigured: the folder cannot be written to.
            OSError: the disk is full, read-only or broken.
        """
        with self._translated():
            lock = None
            while lock is None:  # another process may remove a lock that has no database yet
                path = self.path / f"{uuid4().hex}{SUFFIX}"
                lock = _lock(path.with_suffix(LOCK_SUFFIX))
            locked = LockedPath(path, lock)
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE))
                self.sync()
            except OSError:
                locked.delete()
                raise
        return locked

    def left(self) -> Iterator[LockedPath]:
        """Lock the databases that dead processes have left, the oldest first."""
        for path in sorted(self.path.glob(f"*{LOCK_SUFFIX}")):
            with contextlib.suppress(OSError):
                if not path.with_suffix(SUFFIX).exists() and (lock := _lock(path, creates=False)) is not None:
                    path.unlink(missing_ok=True)  # its process died before it had a database
                    os.close(lock)
        for path in sorted(self.databases(), key=_changed_at):
            with contextlib.suppress(OSError):
                if (lock := _lock(path.with_suffix(LOCK_SUFFIX))) is not None:
                    found = LockedPath(path, lock)
                    if path.exists():
                        yield found
                    else:  # another process has just emptied it
                        found.delete()

    def databases(self) -> list[Path]:
        return list(self.path.glob(f"*{SUFFIX}"))

    def set_aside(self) -> list[Path]:
        """The databases that were damaged or are not ours."""
        return sorted(self.path.glob(f"*{SUFFIX}{ASIDE_SUFFIX}"))

    def used_bytes(self, apart_from: set[Path]) -> int:
        """The size of the databases, apart from those whose size is known better."""
        sizes = 0
        for path in self.databases():
            with contextlib.suppress(FileNotFoundError):
                sizes += 0 if path in apart_from else path.stat().st_size
        return sizes

    def problem(self, least_bytes: int) -> str:
        """Returns why no file in the folder can grow; "" if none is known, or the folder is not there."""
        try:
            if not os.access(self.path, os.W_OK) and self.path.exists():
                return os.strerror(errno.EROFS if os.statvfs(self.path).f_flag & os.ST_RDONLY else errno.EACCES)
            return os.strerror(errno.ENOSPC) if self.free_bytes() < least_bytes else ""
        except OSError as exc:
            return "" if isinstance(exc, FileNotFoundError) else str(exc)

    def free_bytes(self) -> int:
        """The room on the disk."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def sync(self) -> None:
        """Make the names in the folder durable."""
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def is_live(self, path: Path) -> bool:
        """True if a process has the database open."""
        try:
            lock = _lock(path.with_suffix(LOCK_SUFFIX), creates=False)
        except FileNotFoundError:
            return False
        if lock is not None:
            os.close(lock)
        return lock is None

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            if exc.errno in DISK_ERRORS:
                raise
            why = "it is not a folder" if exc.errno in {errno.EEXIST, errno.ENOTDIR} else exc.strerror
            raise Misconfigured(
                f"SUREHOOK_SPOOL_DIR={self.path}: {why}. Choose a folder that this user can write to, on a disk that "
                "outlives the process (in a container: a volume), or set it to off"
            ) from exc


def _lock(path: Path, *, creates: bool = True) -> int | None:
    """Takes the lock; None if another process has it, or has just deleted the file."""
    descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if creates else 0), PRIVATE_FILE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return 0


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
