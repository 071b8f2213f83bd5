"""What a worker process and its parent both see: each claim that the process holds, and how far it is.

A mapped file. The process writes to memory, which outlives it however it dies and needs no lock that a handler may
hold; so its parent knows what had begun, what is overdue, and whether the process can still move at all.
"""

import mmap
import struct
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

_HEADER = struct.Struct("<dBB6x")  # when the process last moved, whether it takes no more, whether a trip is under way
_SLOT = struct.Struct("<B7xd176s")  # stage, when it must have ended, claim
_DEADLINE = struct.Struct("<d")
_LEAVING_AT, _UNSURE_AT = 8, 9
# So long between two movements, and the parent renews the leases of a process.
STILL_SECONDS = 2.0


class Stage(IntEnum):
    """How far a claim is. RAN: its handler has ended, the store does not know yet."""

    FREE = 0
    RESERVED = 1
    STARTED = 2
    RAN = 3


@dataclass(frozen=True, slots=True)
class Slot:
    """A claim as the parent sees it. `ends_by` is on the clock of time.monotonic(), which all processes share."""

    stage: Stage
    ends_by: float
    key: str


class Slots:
    """The table. One writes, the other reads; a claim's key stands before its stage says that it does."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self.stood_still_until = 0.0
        self.count = (len(self._memory) - _HEADER.size) // _SLOT.size

    @classmethod
    def create(cls, path: Path, count: int) -> "Slots":
        path.write_bytes(b"\0" * (_HEADER.size + count * _SLOT.size))
        return cls(path)

    def close(self) -> None:
        self._memory.close()

    def beat(self, now: float) -> None:
        self.stood_still_until = self.last_still(now)
        _DEADLINE.pack_into(self._memory, 0, now)

    def leave(self) -> None:
        self._memory[_LEAVING_AT] = 1

    def be_unsure(self, *, is_unsure: bool) -> None:
        """A trip is under way that may bring claims nobody will be there to take."""
        self._memory[_UNSURE_AT] = is_unsure

    def reserve(self, index: int, key: str) -> None:
        place = self._place(index)
        _SLOT.pack_into(self._memory, place, Stage.FREE, 0.0, key.encode())
        self._memory[place] = Stage.RESERVED

    def start(self, index: int, ends_by: float) -> None:
        place = self._place(index)
        _DEADLINE.pack_into(self._memory, place + 8, ends_by)
        self._memory[place] = Stage.STARTED

    def ran(self, index: int) -> None:
        self._memory[self._place(index)] = Stage.RAN

    def free(self, index: int) -> None:
        self._memory[self._place(index)] = Stage.FREE

    @property
    def moved_at(self) -> float:
        return float(_DEADLINE.unpack_from(self._memory, 0)[0])

    def last_still(self, now: float) -> float:
        """When the process last stood still, as it itself knows: perhaps now."""
        return now if 0 < self.moved_at < now - STILL_SECONDS else self.stood_still_until

    @property
    def is_leaving(self) -> bool:
        return bool(self._memory[_LEAVING_AT])

    @property
    def is_unsure(self) -> bool:
        return bool(self._memory[_UNSURE_AT])

    def taken(self) -> list[Slot]:
        """Every claim in the table."""
        found = (_SLOT.unpack_from(self._memory, self._place(index)) for index in range(self.count))
        return [Slot(Stage(stage), ends_by, key.rstrip(b"\0").decode()) for stage, ends_by, key in found if stage]

    def overdue(self, now: float) -> list[Slot]:
        """Started, and must have ended by then."""
        return [slot for slot in self.taken() if slot.stage is Stage.STARTED and slot.ends_by < now]

    def _place(self, index: int) -> int:
        return _HEADER.size + index * _SLOT.size
