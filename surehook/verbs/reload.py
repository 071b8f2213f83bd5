"""`surehook dev --reload`: starts the worker again when a Python file below the current folder changes."""

import threading
from pathlib import Path

from watchfiles import PythonFilter, watch

STEP_MS = 100  # after the first change, for an editor that writes several files
LONGEST_WAIT_MS = 500


class ChangeWatch:
    """Notes changes in a thread; ignores environments, caches and version control."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._has_changed = threading.Event()
        self._is_stopping, self._is_watching = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="reload", daemon=True)
        self._names: set[str] = set()

    def start(self) -> None:
        self._thread.start()

    def wait_until_watching(self) -> None:
        """Returns when no later change can be missed: a large folder takes seconds."""
        self._is_watching.wait()

    def stop(self) -> None:
        self._is_stopping.set()
        self._thread.join()

    def changes(self) -> list[str]:
        """The files that have changed since the last call."""
        if not self._has_changed.is_set():
            return []
        self._has_changed.clear()
        names, self._names = sorted(self._names), set()
        return names

    def _watch(self) -> None:
        files = watch(
            self._folder,
            watch_filter=PythonFilter(),
            step=STEP_MS,
            rust_timeout=LONGEST_WAIT_MS,
            stop_event=self._is_stopping,
            yield_on_timeout=True,
        )
        try:
            for changes in files:
                self._is_watching.set()
                if changes:
                    self._names |= {_shown(Path(path), self._folder) for _, path in changes}
                    self._has_changed.set()
        finally:
            self._is_watching.set()


def _shown(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
