"""The one name that handler authors need.

from surehook import Event, on

@on("user.delete")
def delete_todos(event: Event) -> None: ...
"""

from shared.events import Event
from workers.dispatch import Attempt
from workers.outcomes import Permanent, RetryLater
from workers.registry import on

__all__ = ["Attempt", "Event", "Permanent", "RetryLater", "on"]
