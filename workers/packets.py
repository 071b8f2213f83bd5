"""Commands that leave for the store in one packet, on a connection of their own; replies come as they are known."""

from collections.abc import Sequence
from typing import Any

import redis
from hiredis import pack_command

from surehook.shared.scripts import Argument

Command = tuple[Argument, ...]


class Packets:
    """The connection, made when it is needed. Used by one thread."""

    def __init__(self, store: redis.Redis) -> None:
        self._store = store
        self._connection: Any = None

    def send(self, commands: Sequence[Command]) -> None:
        if self._connection is None:
            self._connection = self._store.connection_pool.get_connection()
        # Joined: redis-py makes a system call for each part, and Python's lock changes hands around each.
        self._connection.send_packed_command([b"".join(map(_packed, commands))], check_health=False)

    def read(self) -> Any:
        """The next reply to what was sent."""
        return self._connection.read_response()

    def give_up(self) -> None:
        """Replies that have not come are lost; the next packet goes on a fresh connection."""
        if self._connection is not None:
            self._connection.disconnect()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
            self._store.connection_pool.release(self._connection)
            self._connection = None


def _packed(command: Command) -> bytes:
    words: Any = command  # hiredis says that it takes but one
    packed: bytes = pack_command(words)
    return packed
