"""What happens to todos when their user comes and goes.

Each handler is safe to run twice: after a crash, Surehook may run one again.
"""

from uuid import UUID

from examples.todos import todos
from surehook import Event, Permanent, on


def user_of(event: Event) -> UUID:
    """Trying again would not bring a user into the event."""
    if event.user is None or event.user.id is None:
        raise Permanent("the event names no user")
    return UUID(event.user.id)


@on("user.create.complete", name="first_todo")
def add_first_todo(event: Event) -> None:
    todos.add(user_of(event), "Write your first todo")


@on("user.delete", name="delete_todos")
def delete_todos(event: Event) -> None:
    todos.delete_all(user_of(event))
