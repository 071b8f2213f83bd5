"""The names that handler authors need.

from surehook import on
from surehook.events import UserDelete

@on("user.delete")
def delete_todos(event: UserDelete) -> None: ...

Each name is imported when it is first used: most commands need none of them, and the event classes take long to load.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from surehook.shared.models import Event
    from surehook.workers.handlers.attempt import Attempt
    from surehook.workers.handlers.errors import Permanent, Reject, RetryLater
    from surehook.workers.handlers.hooks import DeadLetter, around, on_dead_letter
    from surehook.workers.handlers.overloads import on
    from surehook.workers.handlers.resources import resource

__all__ = [
    "Attempt",
    "DeadLetter",
    "Event",
    "Permanent",
    "Reject",
    "RetryLater",
    "around",
    "on",
    "on_dead_letter",
    "resource",
]

_MODULES = {
    "DeadLetter": "surehook.workers.handlers.hooks",
    "around": "surehook.workers.handlers.hooks",
    "on_dead_letter": "surehook.workers.handlers.hooks",
    "resource": "surehook.workers.handlers.resources",
    "Attempt": "surehook.workers.handlers.attempt",
    "Event": "surehook.shared.models",
    "Permanent": "surehook.workers.handlers.errors",
    "Reject": "surehook.workers.handlers.errors",
    "RetryLater": "surehook.workers.handlers.errors",
    "on": "surehook.workers.handlers.registry",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value
