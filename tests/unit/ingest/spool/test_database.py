"""One database of the spool: order, bounds, outcomes, and events that cannot be read."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from harness.events import a_body, an_event
from surehook.ingest.spool.database import FULL, Database
from surehook.ingest.spool.schema import Received
from surehook.shared.encryption import BodyCipher
from surehook.shared.envelope import Envelope, parse_envelope
from tests.support.full_disk import full_disk

ROOM = 1_000_000
Open = Callable[..., Database]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "one.sqlite3"


@pytest.fixture
def open_database(path: Path) -> Iterator[Open]:
    opened: list[Database] = []

    def open_database(cipher: BodyCipher | None = None) -> Database:
        is_new = not path.exists()
        opened.append(Database(path, cipher or BodyCipher(), "a store"))
        (opened[-1].create if is_new else opened[-1].open)()
        return opened[-1]

    yield open_database
    for database in opened:
        database.close()


def an_envelope(**fields: object) -> Envelope:
    return parse_envelope(a_body(an_event(**fields)))  # type: ignore[arg-type]


def received(*envelopes: Envelope) -> list[Received]:
    return [Received(envelope, 1_700_000_000_000 + number) for number, envelope in enumerate(envelopes)]


def change(path: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement, values)
    connection.close()


def cipher_of(*keys: str) -> BodyCipher:
    return BodyCipher([SecretStr(key) for key in keys])


def test_events_come_out_as_they_went_in_and_in_that_order(open_database: Open) -> None:
    database = open_database()
    envelopes = [an_envelope() for _ in range(5)]

    assert database.append(received(*envelopes[:3]), ROOM) == [None] * 3
    assert database.append(received(*envelopes[3:]), ROOM) == [None] * 2

    rows = database.oldest(10, ROOM)
    assert [row.event[:5] for row in rows] == [envelope[:5] for envelope in envelopes]
    assert [row.event.body for row in rows] == [envelope.body for envelope in envelopes]
    assert {row.event.source for row in rows} == {"webhook"}
    assert (database.waiting, database.oldest_at) == (5, 1_700_000_000_000)


def test_a_known_id_gives_the_type_of_the_event_that_has_it(open_database: Open) -> None:
    database = open_database()
    first = an_envelope(event_type="user.create")
    second = first._replace(event_type="user.delete")

    outcomes = database.append(received(first, second, first), ROOM)

    assert outcomes == [None, "user.create", "user.create"]
    assert database.waiting == 1


def test_an_event_that_has_no_room_leaves_it_to_smaller_ones(open_database: Open) -> None:
    database = open_database()
    small, large = an_envelope(), an_envelope(note="n" * 50_000)

    assert database.append(received(large, small), 20_000) == [FULL, None]


def test_a_batch_is_bounded_in_bytes_but_has_at_least_one_event(open_database: Open) -> None:
    database = open_database()
    database.append(received(*(an_envelope(note="n" * 1000) for _ in range(4))), ROOM)

    assert [len(database.oldest(10, size)) for size in (1, 3000, ROOM)] == [1, 2, 4]


def test_an_event_with_fields_of_a_wrong_kind_is_set_aside(open_database: Open, path: Path) -> None:
    database = open_database()
    broken, whole = an_envelope(), an_envelope()
    database.append(received(broken, whole), ROOM)
    change(path, "update events set body = 5 where event_id = ?", broken.event_id)

    assert [row.event.event_id for row in database.oldest(10, ROOM)] == [whole.event_id]
    assert (database.waiting, database.refused) == (1, 1)


def test_a_body_whose_key_is_gone_or_that_is_damaged_is_forwarded_as_it_is(open_database: Open, path: Path) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    damaged, whole = an_envelope(), an_envelope()
    open_database(cipher_of(old)).append(received(damaged, whole), ROOM)
    change(path, "update events set body = x'00' where event_id = ?", damaged.event_id)

    rotated, without = open_database(cipher_of(new, old)), open_database(cipher_of(new))

    assert [row.event.body for row in rotated.oldest(1, ROOM)] == [b"\0"]
    assert [row.event.key_id for row in rotated.oldest(2, ROOM)] == [
        cipher_of(old).newest_key_id,
        cipher_of(new).newest_key_id,
    ]
    assert {row.event.key_id for row in without.oldest(2, ROOM)} == {cipher_of(old).newest_key_id}


def test_what_was_set_aside_is_offered_again_by_the_next_process(open_database: Open) -> None:
    database = open_database()
    database.append(received(an_envelope()), ROOM)
    (row,) = database.oldest(1, ROOM)
    database.refuse(row.position, row.event.event_id, "WRONGTYPE")
    assert (database.waiting, database.refused, database.oldest(1, ROOM)) == (0, 1, [])

    again = open_database()

    assert (again.waiting, again.refused) == (1, 0)


def test_on_a_full_disk_forwarded_events_are_passed_over_and_deleted_later(open_database: Open, path: Path) -> None:
    database = open_database()
    for _ in range(4):
        database.append(received(an_envelope()), ROOM)
    rows = database.oldest(10, ROOM)

    with full_disk():
        database.remove([rows[0].position, rows[1].position, rows[3].position])
        assert [row.position for row in database.oldest(10, ROOM)] == [rows[2].position, rows[3].position]
        assert database.waiting == 2
        database.remove([rows[2].position, rows[3].position])
        assert (database.waiting, database.oldest(10, ROOM), database.oldest_at) == (0, [], None)
        assert not database.is_empty()
        assert database.append(received(an_envelope()), 0) == [FULL]

    assert database.is_empty()
    database.append(received(an_envelope()), ROOM)
    assert (database.waiting, len(database.oldest(10, ROOM))) == (1, 1)


def test_a_refused_event_among_those_passed_over_is_kept(open_database: Open, path: Path) -> None:
    database = open_database()
    for _ in range(2):
        database.append(received(an_envelope()), ROOM)
    refused, stored = database.oldest(10, ROOM)
    database.refuse(refused.position, refused.event.event_id, "WRONGTYPE")
    with full_disk():
        database.remove([stored.position])

    change(path, "update events set refused = ''")  # `surehook spool flush`
    database.recount()
    database.remove([])
    database.recount()

    assert [row.event.event_id for row in database.oldest(10, ROOM)] == [refused.event.event_id]


def test_a_failed_write_changes_nothing(open_database: Open, path: Path) -> None:
    database = open_database()
    change(path, "create trigger broken before insert on events begin select raise(abort, 'no'); end")

    with pytest.raises(sqlite3.Error):
        database.append(received(an_envelope()), ROOM)

    change(path, "drop trigger broken")
    assert database.append(received(an_envelope()), ROOM) == [None]
    assert database.waiting == 1
