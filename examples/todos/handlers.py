"""What happens to todos when their user comes and goes.

Each handler is safe to run twice: after a crash, Surehook may run one again.
"""

from uuid import UUID

from examples.todos import todos
from surehook import Event, on


@on("user.create.complete", name="first_todo")
def add_first_todo(event: Event) -> None:
    todos.add(UUID(event.user.id), "Write your first todo")


@on("user.delete", name="delete_todos")
def delete_todos(event: Event) -> None:
    todos.delete_all(UUID(event.user.id))
