"""Knows whether the disk of the spool takes writes, and says so once when that changes."""

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterator

from surehook.ingest.spool.folder import SpoolFolder
from surehook.shared.errors import Misconfigured

log = logging.getLogger(__name__)

LEAST_ROOM_BYTES = 64 * 1024  # with less the spool counts as full


class Disk:
    """`problem` is the reason why nothing can be written now, "" without one."""

    def __init__(self, folder: SpoolFolder) -> None:
        self.problem = ""
        self._folder = folder

    @contextlib.contextmanager
    def noting_failures(self) -> Iterator[None]:
        """Keep the reason if the block fails to write."""
        try:
            yield
        except (OSError, sqlite3.Error, Misconfigured) as exc:
            self._note(str(exc))
            raise

    def written(self) -> None:
        """Note that a write has succeeded."""
        if self.problem:
            self._note(self._folder.problem(LEAST_ROOM_BYTES))

    def look(self, write: Callable[[], bool | None]) -> None:
        """Notice a disk that became full or read-only before an event needs it, and one that takes writes again.

        `write` returns True if it has written.
        """
        if problem := self._folder.problem(LEAST_ROOM_BYTES):
            self._note(problem)
        elif self.problem:
            with contextlib.suppress(OSError, sqlite3.Error), self.noting_failures():
                if write():
                    self._note("")

    def _note(self, problem: str) -> None:
        where = {"path": str(self._folder.path)}
        if problem and not self.problem:
            log.error("spool not writable", extra={**where, "reason": problem})
        if self.problem and not problem:
            log.info("spool writable again", extra=where)
        self.problem = problem
