"""The classes of events that handlers are given.

1. `reading` parses a body and builds the event: of its type's class, or a plain `Event` where the body does not fit.
2. `event` holds `Event` and the bases of families of types; `account_events`, `login_events` and `other_events` hold a
   class for each type.
3. `people` and `things` hold the objects inside events; `model` and `fields` make all of them read-only.
"""

from surehook.shared.models.event import Event
from surehook.shared.models.reading import MODELS, event_from, parse_deep_event

__all__ = ["MODELS", "Event", "event_from", "parse_deep_event"]
