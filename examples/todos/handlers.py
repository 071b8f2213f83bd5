"""What happens to todos when their user comes and goes.

Each handler is safe to run twice: after a crash, Surehook may run one again.
"""

from uuid import UUID

from examples.todos import todos
from surehook import Permanent, on
from surehook.events import UserCreateComplete, UserDelete, UserEvent


def user_of(event: UserEvent) -> UUID:
    """Trying again would not bring a user into the event."""
    if event.user is None or event.user.id is None:
        raise Permanent("the event names no user")
    return UUID(str(event.user.id))  # text in an event that did not fit its model; the user is gone all the same


@on("user.create.complete", name="first_todo")
def add_first_todo(event: UserCreateComplete) -> None:
    todos.add(user_of(event), "Write your first todo")


@on("user.delete", name="delete_todos")
def delete_todos(event: UserDelete) -> None:
    todos.delete_all(user_of(event))
