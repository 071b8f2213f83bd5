"""The tables of a database of the spool, and how it is opened."""

import contextlib
import sqlite3
from pathlib import Path
from typing import NamedTuple

from surehook.ingest.store.accept_script import SpooledEvent
from surehook.shared.envelope import Envelope

APPLICATION_ID = 0x53524853  # in the file's header: ours
VERSION = 2
BUSY_SECONDS = 1.0  # the wait for a command that looks into the database
JOURNAL_BYTES = 16 * 1024 * 1024
STATEMENTS = (
    """
    create table events (
        position integer primary key,
        event_id text not null unique,
        event_type text not null,
        tenant_id text not null,
        user_id text not null,
        application_ids text not null,
        source text not null,
        received_at integer not null,  -- milliseconds since 1970
        body blob not null,
        key_id text not null,
        refused text not null default ''  -- why the store does not take this event
    )
    """,
    "create table store (name text not null)",  # one row
    f"pragma application_id = {APPLICATION_ID}",
    f"pragma user_version = {VERSION}",
)
INSERT = """
insert into events (event_id, event_type, tenant_id, user_id, application_ids, source, received_at, body, key_id)
values (?, ?, ?, ?, ?, 'webhook', ?, ?, ?) on conflict (event_id) do nothing
"""
COLUMNS = "event_id, event_type, tenant_id, user_id, application_ids, source, body, key_id, received_at"
WAITING = "from events where refused = '' and position > ? order by position limit ?"
OLDEST = f"select position, {COLUMNS} {WAITING}"
FORWARDED = "select position from events where refused = '' and position <= ?"
REFUSED = "select position from events where refused != '' and position <= ?"
COPIED = f"select {COLUMNS} from events where position > ? or refused != '' order by position"  # noqa: S608 - constants
COPY = f"insert into events ({COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (event_id) do nothing"  # noqa: S608


class Spooled(NamedTuple):
    """Counts of the databases of a process."""

    events: int
    bytes: int
    oldest_at: int | None
    """Milliseconds since 1970; None if nothing waits."""
    set_aside: int
    """Databases and events set aside, and databases of others: a person must look at them."""
    has_room: bool
    is_writable: bool


class Received(NamedTuple):
    """An event to be written, and when it arrived (milliseconds since 1970)."""

    envelope: Envelope
    received_at: int


class Row(NamedTuple):
    """An event that waits, and its place in the database."""

    position: int
    event: SpooledEvent


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    with contextlib.suppress(sqlite3.DatabaseError):  # a damaged file: `Database.open` says so
        connection.execute("pragma journal_mode = wal")  # one fsync for a transaction
        connection.execute("pragma synchronous = full")
        connection.execute("pragma temp_store = memory")
        connection.execute(f"pragma journal_size_limit = {JOURNAL_BYTES}")
    return connection
