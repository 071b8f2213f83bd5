"""The tables of a database of the spool, and how it is opened."""

import contextlib
import sqlite3
from pathlib import Path

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


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    with contextlib.suppress(sqlite3.DatabaseError):  # a damaged file: `Database.open` says so
        connection.execute("pragma journal_mode = wal")  # one fsync for a transaction
        connection.execute("pragma synchronous = full")
        connection.execute("pragma temp_store = memory")
        connection.execute(f"pragma journal_size_limit = {JOURNAL_BYTES}")
    return connection
