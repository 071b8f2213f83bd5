"""Searches the rows of the index of closed events, a segment at a time.

A column of a segment is compared at once: it is sliced out of the string, each byte is translated to 1 or 0, and the
columns are joined as long integers. That takes a few microseconds for 4,096 rows, where a loop takes a millisecond.
Segments whose summary says that they have no such row are not read.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from surehook.admin.newest import Candidate
from surehook.shared import event_index as row
from surehook.shared.index_summary import SUMMARY_BYTES, bits_of
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script

SEGMENTS_AT_ONCE = 8
CHOSEN_AT_ONCE = 500
HEX_DIGITS = "0123456789abcdef"
_EQUAL = [bytes(int(value == byte) for value in range(256)) for byte in range(256)]
_LESS = [bytes(int(value < byte) for value in range(256)) for byte in range(256)]
_HIGH_NIBBLE = [bytes(int(value >> 4 == nibble) for value in range(256)) for nibble in range(16)]
_IN_USE = bytes([0]) + bytes([1]) * 255


@dataclass(frozen=True, slots=True)
class RowFilter:
    """The values that a row must have; None, or no outcomes, match any."""

    type: bytes | None = None
    tenant: bytes | None = None
    application: bytes | None = None
    handler: bytes | None = None
    user: bytes | None = None
    email: bytes | None = None
    outcomes: tuple[str, ...] = ()
    since_ms: int = 0
    until_ms: int | None = None
    id_beginning: str = ""
    """Hexadecimal digits."""

    @property
    def values(self) -> list[list[tuple[int, ...]]]:
        """The values that a row must have. Each is a list of alternatives: the bits that one sets in a summary."""
        columns = {row.TYPE: self.type, row.TENANT: self.tenant, row.USER: self.user, row.EMAIL: self.email}
        several = {row.APPLICATION: self.application, row.HANDLER: self.handler}
        found = [[bits_of(column, value)] for column, value in columns.items() if value is not None]
        found += [
            [bits_of(column, each) for each in (value, row.ANY)]
            for column, value in several.items()
            if value is not None
        ]
        if self.outcomes:
            found.append([bits_of(row.OUTCOME, bytes([code])) for code in _outcome_codes(self.outcomes)])
        return found


class Segment:
    """The rows of a segment."""

    def __init__(self, number: int, data: bytes) -> None:
        self.number = number
        self._count = len(data) // row.ROW_BYTES
        self._data = data[: self._count * row.ROW_BYTES]

    def matching(self, wanted: RowFilter) -> int:
        """The rows that match: bit 8 n for row n."""
        mask = self._ones(row.OUTCOME, _outcome_table(wanted.outcomes))
        for column, value in ((row.USER, wanted.user), (row.EMAIL, wanted.email)):
            mask = mask if value is None else self._equal(column, value, mask)
        for column, value in ((row.TYPE, wanted.type), (row.TENANT, wanted.tenant)):
            mask = mask if value is None else self._equal(column, value, mask)
        for column, value in ((row.APPLICATION, wanted.application), (row.HANDLER, wanted.handler)):
            if value is not None:
                mask = self._equal(column, value, mask) | self._equal(column, row.ANY, mask)
        if wanted.id_beginning:
            mask = self._begins(wanted.id_beginning, mask)
        if wanted.since_ms > 0:
            mask &= ~self._earlier_than(wanted.since_ms, mask)
        if wanted.until_ms is not None:
            mask = self._earlier_than(wanted.until_ms + 1, mask)
        return mask

    def certain(self, wanted: RowFilter, mask: int) -> int:
        """The matching rows that need no look at their record. A row of several applications or handlers needs one."""
        for column, value in ((row.APPLICATION, wanted.application), (row.HANDLER, wanted.handler)):
            mask = mask if value is None else self._equal(column, value, mask)
        return mask

    def candidates(self, mask: int) -> Iterator[Candidate]:
        flags = mask.to_bytes(self._count, "little")
        at = flags.find(1)
        while at >= 0:
            start = at * row.ROW_BYTES
            packed = self._data[start : start + row.ROW_BYTES]
            received_ms = int.from_bytes(packed[row.RECEIVED : row.OUTCOME], "big")
            yield Candidate(received_ms, _uuid(packed[: row.TYPE].hex()), self.number * row.ROWS_A_SEGMENT + at)
            at = flags.find(1, at + 1)

    def _ones(self, column: int, table: bytes) -> int:
        return int.from_bytes(self._data[column :: row.ROW_BYTES].translate(table), "little")

    def _equal(self, column: int, value: bytes, mask: int) -> int:
        for offset, byte in enumerate(value):
            if not mask:
                break
            mask &= self._ones(column + offset, _EQUAL[byte])
        return mask

    def _begins(self, digits: str, mask: int) -> int:
        whole, rest = digits[: len(digits) // 2 * 2], digits[len(digits) // 2 * 2 :]
        mask = self._equal(row.ID, bytes.fromhex(whole), mask)
        return mask & self._ones(len(whole) // 2, _HIGH_NIBBLE[int(rest, 16)]) if rest and mask else mask

    def _earlier_than(self, instant_ms: int, mask: int) -> int:
        earlier, equal = 0, mask
        if instant_ms >= 1 << 8 * row.INSTANT_BYTES:
            return mask
        for offset, byte in enumerate(instant_ms.to_bytes(row.INSTANT_BYTES, "big")):
            if not equal:
                break
            earlier |= equal & self._ones(row.RECEIVED + offset, _LESS[byte])
            equal &= self._ones(row.RECEIVED + offset, _EQUAL[byte])
        return earlier


class IndexReader:
    """Reads segments from the store, the newest first."""

    def __init__(self, store: redis.Redis, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._choose = Script("choose_segments", keys)

    def segments(self, wanted: RowFilter) -> Iterator[tuple[Segment, int]]:
        """The segments that may have a row that matches, but for its id.

        Each comes with an instant that no row of those after it is later than. Ends where all are too old.
        """
        known: Any = self._store.zrevrange(self._keys.index_segments, 0, -1, withscores=True)
        is_first = True
        for start in range(0, len(known), CHOSEN_AT_ONCE):
            chosen = self._chosen(known[start : start + CHOSEN_AT_ONCE], wanted)
            while chosen:
                portion = chosen[: 1 if is_first else SEGMENTS_AT_ONCE]
                del chosen[: len(portion)]
                is_first = False
                yield from self._read(portion, wanted.since_ms)
                if portion[-1][1] < wanted.since_ms:
                    return

    def _chosen(self, known: list[tuple[bytes, float]], wanted: RowFilter) -> list[tuple[bytes, float]]:
        values = wanted.values
        if not values and wanted.until_ms is None:
            return known
        till = "" if wanted.until_ms is None else wanted.until_ms
        numbers = [number for number, _ in known]
        chosen = set(self._choose.run(self._store, till, SUMMARY_BYTES, json.dumps(values), *numbers))
        return [each for each in known if each[0] in chosen]

    def _read(self, portion: Sequence[tuple[bytes, float]], since_ms: int) -> Iterator[tuple[Segment, int]]:
        pipeline = self._store.pipeline(transaction=False)
        for position, (number, _) in enumerate(portion):
            if position and portion[position - 1][1] < since_ms:
                portion = portion[:position]
                break
            pipeline.get(self._keys.index(int(number)))
        for (number, bound_ms), data in zip(portion, pipeline.execute(), strict=True):
            yield Segment(int(number), data or b""), int(bound_ms)


def _uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _outcome_table(outcomes: Sequence[str]) -> bytes:
    if not outcomes:
        return _IN_USE
    codes = _outcome_codes(outcomes)
    return bytes(int(code in codes) for code in range(256))


def _outcome_codes(outcomes: Sequence[str]) -> list[int]:
    return [row.OUTCOMES.index(outcome) + 1 for outcome in outcomes if outcome in row.OUTCOMES]
