"""The summary of a segment never denies a row that is there."""

from random import Random

from surehook.shared import event_index as row
from surehook.shared.index_summary import SUMMARY_BYTES, bits_of, summary_of

COLUMNS = {
    row.TYPE: row.WORD_BYTES,
    row.TENANT: row.WORD_BYTES,
    row.APPLICATION: row.WORD_BYTES,
    row.HANDLER: row.WORD_BYTES,
    row.USER: row.PERSON_BYTES,
    row.EMAIL: row.PERSON_BYTES,
    row.OUTCOME: 1,
}
FIRST_MS = 1_760_000_000_000


def some_rows(count: int) -> list[bytes]:
    random = Random(1)  # noqa: S311 - nothing secret
    rows = []
    for number in range(count):
        words = row.word_hashes(f"type {number % 7}", f"tenant {number % 3}", "", None)
        facts = row.pack_facts(words, f"user {number}", random.randbytes(row.PERSON_BYTES), FIRST_MS + number)
        rows.append(random.randbytes(16) + facts + bytes([number % 4 + 1]))
    return rows


def has(summary: bytes, column: int, value: bytes) -> bool:
    return all(summary[bit // 8] & 0x80 >> bit % 8 for bit in bits_of(column, value))


def test_every_value_of_every_row_is_in_the_summary() -> None:
    rows = some_rows(row.ROWS_A_SEGMENT)

    summary = summary_of(b"".join(rows))

    assert len(summary) == SUMMARY_BYTES
    for column, size in COLUMNS.items():
        assert all(has(summary, column, each[column : column + size]) for each in rows)


def test_few_values_that_are_in_no_row_are_taken_for_one() -> None:
    summary = summary_of(b"".join(some_rows(row.ROWS_A_SEGMENT)))

    for column, size in COLUMNS.items():
        others = [row.short_hash(f"other {number}", 6)[:size] for number in range(1000)] if size > 1 else [bytes([200])]
        assert sum(has(summary, column, other) for other in others) < 60


def test_the_earliest_instant_is_that_of_a_row_that_is_in_use() -> None:
    rows = some_rows(9)
    rows[0] = bytes(row.ROW_BYTES)  # it was cleared
    rows.reverse()

    assert int.from_bytes(summary_of(b"".join(rows))[: row.INSTANT_BYTES], "big") == FIRST_MS + 1


def test_a_segment_without_rows_has_a_summary() -> None:
    for rows in (b"", bytes(5 * row.ROW_BYTES), b"half a row"):
        summary = summary_of(rows)

        assert summary[: row.INSTANT_BYTES] == b"\xff" * row.INSTANT_BYTES
        assert len(summary) == SUMMARY_BYTES
