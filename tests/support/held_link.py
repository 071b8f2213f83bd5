"""A link to the store that holds one command back, or the reply to it: a process is stopped at a known point."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.cut_link import Link


class HeldLink(Link):
    """Relays everything but the command that holds a given text, which is lost with its connection."""

    def __init__(self, store: Path) -> None:
        super().__init__(store)
        self.is_held = threading.Event()
        self._text = b""
        self._is_executed = False

    def hold(self, text: bytes, *, is_executed: bool = False) -> None:
        """Holds the next command with this text; one that is executed loses only its reply."""
        self.is_held.clear()
        self._is_executed, self._text = is_executed, text

    def release(self) -> None:
        self._text, self.passes_replies = b"", True

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, switch: str) -> None:
        if switch != "passes_commands":
            await super()._pipe(reader, writer, switch)
            return
        with suppress(OSError):
            while data := await reader.read(65536):
                if self._text and self._text in data:
                    self.passes_replies = False
                    if self._is_executed:
                        writer.write(data)
                        await writer.drain()
                    self.is_held.set()
                    await reader.read()  # until its process is gone
                    return
                writer.write(data)
                await writer.drain()


@contextmanager
def held_link_to(store: Path) -> Iterator[HeldLink]:
    link = HeldLink(store)
    link.start()
    try:
        yield link
    finally:
        link.stop()
