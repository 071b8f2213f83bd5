"""Reports deliveries that are not stored because another event has their id."""

from typing import Protocol

from surehook.ingest.rate_limited_log import RateLimitedLog


class Identified(Protocol):
    """An event by its id and type."""

    @property
    def event_id(self) -> str: ...
    @property
    def event_type(self) -> str: ...


class DifferenceLog:
    """Logs one line a second for each type, with the type of the stored event."""

    def __init__(self) -> None:
        self._log = RateLimitedLog("another event under a known id")

    def add(self, event: Identified, known_type: str) -> None:
        facts = {"event_id": event.event_id, "event_type": event.event_type, "known_type": known_type}
        self._log.add(event.event_type, **facts)
