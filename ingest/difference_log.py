"""Reports deliveries that are not stored because another event has their id."""

from surehook.ingest.rate_limited_log import RateLimitedLog
from surehook.shared.envelope import Envelope


class DifferenceLog:
    """Logs one line a second for each type, with the type of the stored event."""

    def __init__(self) -> None:
        self._log = RateLimitedLog("another event under a known id")

    def add(self, envelope: Envelope, known_type: str) -> None:
        facts = {"event_id": envelope.event_id, "event_type": envelope.event_type, "known_type": known_type}
        self._log.add(envelope.event_type, **facts)
