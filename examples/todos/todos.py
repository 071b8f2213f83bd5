"""The todos of an app whose users live in FusionAuth: a SQLite file, by default data/todos.sqlite3."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

DATABASE_VARIABLE = "TODOS_DB"
DEFAULT_DATABASE = "data/todos.sqlite3"


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    """A connection whose changes are committed together at the end, or rolled back."""
    path = Path(os.environ.get(DATABASE_VARIABLE, DEFAULT_DATABASE))
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=10)) as connection, connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS todos (user_id TEXT NOT NULL, text TEXT NOT NULL, UNIQUE (user_id, text))"
        )
        yield connection


def add(user_id: UUID, text: str) -> None:
    """Add a todo. Adding the same text again changes nothing."""
    with database() as connection:
        connection.execute("INSERT OR IGNORE INTO todos VALUES (?, ?)", (str(user_id), text))


def of(user_id: UUID) -> list[str]:
    with database() as connection:
        rows = connection.execute("SELECT text FROM todos WHERE user_id = ? ORDER BY rowid", (str(user_id),))
        return [text for (text,) in rows]


def delete_all(user_id: UUID) -> int:
    """Delete a user's todos. Returns how many there were."""
    with database() as connection:
        return connection.execute("DELETE FROM todos WHERE user_id = ?", (str(user_id),)).rowcount
