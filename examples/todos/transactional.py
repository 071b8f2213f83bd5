r"""A transactional handler and its undo: only company addresses may register, and a new user gets a first list.

SUREHOOK_HANDLERS=examples.todos.handlers,examples.todos.transactional \
  SUREHOOK_TRANSACTIONAL_EVENTS=user.create surehook dev
"""

import os

from examples.todos import todos
from examples.todos.handlers import user_of
from surehook import Reject, on
from surehook.events import UserCreate

DOMAIN_VARIABLE = "TODOS_DOMAIN"
DEFAULT_DOMAIN = "example.com"


def drop_list(event: UserCreate) -> None:
    """Undo `reserve_list`: FusionAuth did not create the user. Deleting a list that is not there is fine."""
    todos.delete_all(user_of(event))


@on("user.create", name="reserve_list", transactional=True, on_abandoned=drop_list)
def reserve_list(event: UserCreate) -> None:
    domain = os.environ.get(DOMAIN_VARIABLE, DEFAULT_DOMAIN)
    address = event.user.email if event.user is not None else None
    if address is None or not address.lower().endswith(f"@{domain}"):
        raise Reject(f"Only addresses of {domain} may register")
    todos.add(user_of(event), "Look around")
