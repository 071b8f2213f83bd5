"""The example's handlers, tested as a handler author would."""

from pathlib import Path
from uuid import UUID

import pytest

from examples.todos import handlers, todos
from surehook.events import UserCreateComplete, UserDelete
from surehook.testing import an_event, deliver, run_handler

USER_ID, OTHER_ID = UUID(int=1), UUID(int=2)


@pytest.fixture(autouse=True)
def _database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(todos.DATABASE_VARIABLE, str(tmp_path / "todos.sqlite3"))


def test_a_new_user_has_one_todo_even_if_the_event_is_repeated() -> None:
    event = an_event(UserCreateComplete, user={"id": USER_ID})

    for _ in range(2):
        assert run_handler(handlers.add_first_todo, event).outcome == "done"

    assert todos.of(USER_ID) == ["Write your first todo"]


def test_todos_of_a_deleted_user_are_deleted_and_no_others() -> None:
    todos.add(USER_ID, "water the plants")
    todos.add(OTHER_ID, "feed the cat")

    runs = deliver(an_event(UserDelete, user={"id": USER_ID}), handlers)

    assert [ran.outcome for ran in runs["delete_todos"]] == ["done"]
    assert (todos.of(USER_ID), todos.of(OTHER_ID)) == ([], ["feed the cat"])


def test_todos_are_deleted_even_if_another_field_of_the_user_is_invalid() -> None:
    todos.add(USER_ID, "water the plants")

    deliver(an_event("user.delete", user={"id": USER_ID, "birthDate": "3rd of August"}), handlers)

    assert todos.of(USER_ID) == []


def test_an_event_without_a_user_is_a_dead_letter_at_once() -> None:
    assert run_handler(handlers.delete_todos, an_event(UserDelete, user=None)).is_dead_letter
