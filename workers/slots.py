"""Shared memory in which a worker process shows its supervisor the claims it holds and how far each is.

It is a mapped file. The process writes to memory, which survives any death of the process and needs no lock that a
handler may hold; so the supervisor knows which runs had started or are overdue, and whether the process is stalled.
"""

import mmap
import struct
import threading
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

# Last beat, whether the process is leaving, whether an exchange is under way, whether it takes events, its id.
_HEADER = struct.Struct("<dBBBxI")
_SLOT = struct.Struct("<B7xdQ176s")  # stage, deadline, thread, claim
_THREAD = struct.Struct("<Q")
_DEADLINE = struct.Struct("<d")
_PID = struct.Struct("<I")
_LEAVING_AT, _EXCHANGE_PENDING_AT, _TAKES_EVENTS_AT, _PID_AT = 8, 9, 10, 12
# The name of the file in which the process leaves its stacks when it is about to be killed.
STACKS_SUFFIX = ".stacks"
# After this long without a beat, the supervisor renews the leases of a process.
STALL_SECONDS = 2.0


class Stage(IntEnum):
    """The stage of a claim. RAN: its handler has ended, and the store has not acknowledged that yet."""

    FREE = 0
    RESERVED = 1
    STARTED = 2
    RAN = 3


@dataclass(frozen=True, slots=True)
class Slot:
    """A claim as the supervisor sees it. `ends_by` is on time.monotonic(), which all processes share."""

    stage: Stage
    ends_by: float
    key: str
    index: int = 0
    thread: int = 0
    """The ident of the thread that executes it."""


class Slots:
    """The table: one process writes, one reads. A claim's key is written before its stage says so."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self.stalled_until = 0.0
        self.count = (len(self._memory) - _HEADER.size) // _SLOT.size

    @classmethod
    def create(cls, path: Path, count: int) -> "Slots":
        path.write_bytes(b"\0" * (_HEADER.size + count * _SLOT.size))
        return cls(path)

    def close(self) -> None:
        self._memory.close()

    def beat(self, now: float) -> None:
        self.stalled_until = self.last_stall(now)
        _DEADLINE.pack_into(self._memory, 0, now)

    @property
    def pid(self) -> int:
        """The process's id; 0 until it has written it."""
        return int(_PID.unpack_from(self._memory, _PID_AT)[0])

    @pid.setter
    def pid(self, pid: int) -> None:
        _PID.pack_into(self._memory, _PID_AT, pid)

    def mark_taking_events(self) -> None:
        self._memory[_TAKES_EVENTS_AT] = 1

    @property
    def takes_events(self) -> bool:
        """True once the process has reached the store and started its threads."""
        return bool(self._memory[_TAKES_EVENTS_AT])

    def mark_leaving(self) -> None:
        self._memory[_LEAVING_AT] = 1

    def mark_exchange_pending(self, *, is_pending: bool) -> None:
        """An exchange is under way whose reply may bring claims, even if the process dies before it arrives."""
        self._memory[_EXCHANGE_PENDING_AT] = is_pending

    def reserve(self, index: int, key: str) -> None:
        offset = self._offset(index)
        _SLOT.pack_into(self._memory, offset, Stage.FREE, 0.0, 0, key.encode())
        self._memory[offset] = Stage.RESERVED

    def start(self, index: int, ends_by: float, thread: int = 0) -> None:
        """`thread`: in which the handler runs; 0 for the calling one."""
        offset = self._offset(index)
        _DEADLINE.pack_into(self._memory, offset + 8, ends_by)
        self.move(index, thread)
        self._memory[offset] = Stage.STARTED

    def move(self, index: int, thread: int = 0) -> None:
        """Says in which thread the user's code goes on; 0: in the calling one."""
        _THREAD.pack_into(self._memory, self._offset(index) + 16, thread or threading.get_ident())

    def ran(self, index: int) -> None:
        self._memory[self._offset(index)] = Stage.RAN

    def free(self, index: int) -> None:
        self._memory[self._offset(index)] = Stage.FREE

    @property
    def last_heartbeat_at(self) -> float:
        return float(_DEADLINE.unpack_from(self._memory, 0)[0])

    def last_stall(self, now: float) -> float:
        """When the process was last stalled, as far as it knows: perhaps now."""
        return now if 0 < self.last_heartbeat_at < now - STALL_SECONDS else self.stalled_until

    @property
    def is_leaving(self) -> bool:
        return bool(self._memory[_LEAVING_AT])

    @property
    def is_exchange_pending(self) -> bool:
        return bool(self._memory[_EXCHANGE_PENDING_AT])

    def occupied(self) -> list[Slot]:
        """Every claim in the table."""
        found = (_SLOT.unpack_from(self._memory, self._offset(index)) for index in range(self.count))
        return [
            Slot(Stage(stage), ends_by, key.rstrip(b"\0").decode(), index, thread)
            for index, (stage, ends_by, thread, key) in enumerate(found)
            if stage
        ]

    def overdue(self, now: float) -> list[Slot]:
        """Claims that have started and are past their deadline."""
        return [slot for slot in self.occupied() if slot.stage is Stage.STARTED and slot.ends_by < now]

    def _offset(self, index: int) -> int:
        return _HEADER.size + index * _SLOT.size
