"""The one name that handler authors need.

from surehook import on
from surehook.events import UserDelete

@on("user.delete")
def delete_todos(event: UserDelete) -> None: ...
"""

from surehook.shared.models import Event
from surehook.workers.handlers.attempt import Attempt
from surehook.workers.handlers.errors import Permanent, Reject, RetryLater
from surehook.workers.handlers.typed_on import on

__all__ = ["Attempt", "Event", "Permanent", "Reject", "RetryLater", "on"]
