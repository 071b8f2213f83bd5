"""The handlers of the example: they follow a user's creation and deletion.

Each handler is safe to run twice: after a crash, Surehook may run one again.
"""

from uuid import UUID

from examples.todos import todos
from surehook import Permanent, on
from surehook.events import UserCreateComplete, UserDelete, UserEvent


def user_of(event: UserEvent) -> UUID:
    """Returns the id of the event's user. An event without a user is a dead letter: a retry would not add one."""
    if event.user is None or event.user.id is None:
        raise Permanent("the event names no user")
    return UUID(str(event.user.id))  # text where the event did not fit its model


@on("user.create.complete", name="first_todo")
def add_first_todo(event: UserCreateComplete) -> None:
    todos.add(user_of(event), "Write your first todo")


@on("user.delete", name="delete_todos")
def delete_todos(event: UserDelete) -> None:
    todos.delete_all(user_of(event))
