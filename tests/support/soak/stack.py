"""The stack of a soak, in a folder that remains, so that an interrupted soak can go on."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.stack import Stack
from surehook.shared.embedded import start_server
from tests.support.power_cut.disk import Disk

HANDLERS = Path(__file__).with_name("handlers.py")
# The library of the power cuts copies a file at each fsync, and a server fsyncs its base file every 4 MiB.
STORE_OPTIONS = ("--rdb-save-incremental-fsync", "no")


class SoakStack(Stack):
    """Its store keeps through a power cut only what it has fsynced. `name` tells apart the files of a stretch."""

    def __init__(self, folder: Path, name: str) -> None:
        self.ended = end_leftover_processes(folder)
        """The processes of an earlier soak that was killed."""
        super().__init__("", folder)
        (self.folder / "myhooks.py").write_text(HANDLERS.read_text("utf-8"))
        self.effects_file = self.folder / f"effects-{name}"
        self.effects_file.touch()
        self.environ["EFFECTS"] = str(self.effects_file)
        self.log.close()
        self.log_file = self.folder / f"log-{name}"
        self.log = self.log_file.open("ab")
        self.kill_store()
        self._disk = Disk(self.folder / "synced", self.data / "appendonlydir")
        self.restart_store()

    def restart_store(self) -> None:
        with self._disk.watches_children():
            self.server = start_server(self.data, *STORE_OPTIONS)

    def lose_power(self) -> None:
        """Cuts the power of the store's machine."""
        self.kill_store()
        self._disk.lose_power()

    def log_lines(self, *words: str) -> Iterator[dict[str, Any]]:
        """Yields the lines of the log that have one of these words. A killed process may have left half of one."""
        with self.log_file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if any(word in line for word in words):
                    with suppress(ValueError):
                        yield json.loads(line)


def end_leftover_processes(folder: Path) -> set[int]:
    """Kills the processes of a soak that was itself killed: those that work in its folder. Returns their ids."""
    ended: set[int] = set()
    while pids := _working_in(folder):
        ended.update(pids)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    return ended


def _working_in(folder: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            where = (process / "cwd").readlink()
            if folder.resolve() in (where, *where.parents) and int(process.name) != os.getpid():
                found.append(int(process.name))
    return found
