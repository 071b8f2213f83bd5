"""`surehook dev` in a pseudo-terminal."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

from harness.stack import Stack, wait_until

SUREHOOK = str(Path(sys.executable).with_name("surehook"))


class Terminal:
    """`surehook dev` in a terminal of its own, in a fresh folder."""

    def __init__(self, stack: Stack, *options: str, through: tuple[str, ...] = (), **environ: str) -> None:
        self.stack = stack
        for name in ("SUREHOOK_API_KEYS", "SUREHOOK_HANDLERS"):
            stack.environ.pop(name, None)
        stack.environ["TODOS_DB"] = str(stack.folder / "todos.sqlite3")
        self._end, inside = pty.openpty()
        self.process = subprocess.Popen(
            [*through, SUREHOOK, "dev", *options],
            cwd=stack.folder,
            env={**stack.environ, "SUREHOOK_DATA_DIR": "store", **environ},
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
        )
        os.close(inside)
        os.set_blocking(self._end, False)
        self._seen = ""
        stack.processes.append(self.process)

    def screen(self) -> str:
        try:
            while chunk := os.read(self._end, 65_536):
                self._seen += chunk.decode("utf-8", "replace")
        except (BlockingIOError, OSError):
            pass
        return self._seen

    def wait_for(self, text: str) -> str:
        wait_until(lambda: text in self.screen(), f"{text!r} on the screen: {self.screen()}")
        return self.screen()

    def ctrl_c(self) -> int:
        os.killpg(self.process.pid, signal.SIGINT)
        wait_until(lambda: (self.screen(), self.process.poll())[1] is not None, "it stopped")
        return self.process.wait()
