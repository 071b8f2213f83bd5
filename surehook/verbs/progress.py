"""A progress line for long operations: on a terminal, not in a pipe."""

import sys
import time
from types import TracebackType
from typing import Self

SHOW_EVERY_SECONDS = 0.1


class Progress:
    """Counts while the block lasts."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._is_shown = sys.stderr.isatty()
        self._count = 0
        self._next = time.monotonic() + SHOW_EVERY_SECONDS

    def __enter__(self) -> Self:
        return self

    def step(self, count: int = 1, detail: str = "") -> None:
        self._count += count
        if self._is_shown and time.monotonic() >= self._next:
            self._next = time.monotonic() + SHOW_EVERY_SECONDS
            sys.stderr.write(f"\r{self._label} {self._count:,}{detail}\x1b[K")
            sys.stderr.flush()

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.clear()

    def clear(self) -> None:
        """Removes the line, so that something else can be printed; the next step shows it again."""
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
