"""The summary of a segment of the index: the earliest instant in its rows, and a Bloom filter of their values.

A search leaves out a segment that has none of its rows. A filter never denies a value that is there, and 3 % of the
segments without a value are read in vain. The rows of a summarized segment may be cleared; if a value is added, or an
event is erased, its summary goes.
"""

import struct
from hashlib import sha1

from surehook.shared import event_index as row

FILTER_BITS = 1 << 16
FILTER_BYTES = FILTER_BITS // 8
SUMMARY_BYTES = row.INSTANT_BYTES + FILTER_BYTES
LEAST_ROWS = 1024
"""A smaller segment is read as fast as its summary."""
_SEED_BYTES = 6
_WORDS = dict.fromkeys((row.TYPE, row.TENANT, row.APPLICATION, row.HANDLER), row.WORD_BYTES) | {row.OUTCOME: 1}
_PERSONS = (row.USER, row.EMAIL)
_LATEST = (1 << 8 * row.INSTANT_BYTES) - 1


def summary_of(rows: bytes) -> bytes:
    """The summary of a segment's rows."""
    rows = rows[: len(rows) // row.ROW_BYTES * row.ROW_BYTES]
    instants = struct.unpack(f">{len(rows) // row.ROW_BYTES}Q", _column(rows, row.RECEIVED, row.INSTANT_BYTES, 8))
    earliest = min(filter(None, instants), default=_LATEST)  # a row that was cleared has 0
    words = (_seed(column, value) for column, size in _WORDS.items() for value in _values(rows, column, size))
    persons = (_column(rows, column, row.PERSON_BYTES, _SEED_BYTES) for column in _PERSONS)
    return earliest.to_bytes(row.INSTANT_BYTES, "big") + _filter(b"".join((*words, *persons)))


def bits_of(column: int, value: bytes) -> tuple[int, ...]:
    """The bits of a summary that are set if a row has a value in a column."""
    return tuple(8 * row.INSTANT_BYTES + position for position in struct.unpack(">HHH", _seed(column, value)))


def _seed(column: int, value: bytes) -> bytes:
    """The three places of a value in the filter. Those of persons are hashes already."""
    if column in _PERSONS:
        return value
    return sha1(bytes([column]) + value, usedforsecurity=False).digest()[:_SEED_BYTES]


def _column(rows: bytes, column: int, size: int, width: int) -> bytes:
    """The values of a column side by side, each in `width` bytes. A loop over the rows would take ten times as long."""
    joined = bytearray(len(rows) // row.ROW_BYTES * width)
    for offset in range(size):
        joined[width - size + offset :: width] = rows[column + offset :: row.ROW_BYTES]
    return bytes(joined)


def _values(rows: bytes, column: int, size: int) -> set[bytes]:
    return {
        bytes(value) for value in set(zip(*(rows[column + at :: row.ROW_BYTES] for at in range(size)), strict=True))
    }


def _filter(seeds: bytes) -> bytes:
    flags = bytearray(FILTER_BITS)
    for position in struct.unpack(f">{len(seeds) // 2}H", seeds):
        flags[position] = 1
    # As the store counts bits: the first of a byte is its highest.
    bits = sum(int.from_bytes(flags[place::8], "big") << 7 - place for place in range(8))
    return bits.to_bytes(FILTER_BYTES, "big")
