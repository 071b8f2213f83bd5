"""The one name that handler authors need.

from surehook import on
from surehook.events import UserDelete

@on("user.delete")
def delete_todos(event: UserDelete) -> None: ...
"""

from shared.models import Event
from workers.dispatch import Attempt
from workers.outcomes import Permanent, Reject, RetryLater
from workers.typed_on import on

__all__ = ["Attempt", "Event", "Permanent", "Reject", "RetryLater", "on"]
