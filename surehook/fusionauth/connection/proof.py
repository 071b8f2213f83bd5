"""Proves the connection by a delivery of FusionAuth's own.

FusionAuth has no API that sends a test, and what its Test page sends is not in its event log. So the proof is the next
real event: FusionAuth's log has the attempt and the answer, and our store has the event.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import redis

from surehook.fusionauth.client import FusionAuthClient
from surehook.fusionauth.doctor.access import Json
from surehook.fusionauth.log_pages import LogPages, Unreadable
from surehook.fusionauth.shapes import object_in, objects_in
from surehook.shared.keys import Keys

ROWS = 50
LOOK_EVERY_SECONDS = 1.0
# FusionAuth's clock may be behind this machine's.
SKEW_MS = 60_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """The first attempt that FusionAuth made after the change. `is_stored` says whether our store has the event."""

    event_type: str
    event_id: str
    status: int
    is_success: bool
    is_stored: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """Watches FusionAuth's log for attempts at one webhook that were not there before."""

    client: FusionAuthClient
    store: redis.Redis
    keys: Keys
    webhook_id: str

    def known(self, now_ms: int) -> set[str]:
        """Returns the attempts that are there already."""
        return {attempt_id for attempt_id, *_ in self._attempts(now_ms)}

    def wait(
        self,
        known: set[str],
        seconds: float,
        *,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
        sleep: Callable[[float], None] = time.sleep,
    ) -> Delivery | None:
        """Returns the next attempt; None if there is none in time.

        Raises:
            FusionAuthError: the log cannot be read.
        """
        since_ms, deadline = now_ms(), time.monotonic() + seconds
        while True:
            for attempt_id, event, attempt in self._attempts(since_ms, now_ms()):
                if attempt_id not in known:
                    return self._delivery(event, attempt)
            if time.monotonic() >= deadline:
                return None
            sleep(LOOK_EVERY_SECONDS)

    def _attempts(self, since_ms: int, until_ms: int | None = None) -> list[tuple[str, Json, Json]]:
        pages = LogPages(self.client, since_ms - SKEW_MS, (until_ms or since_ms) + SKEW_MS, ROWS)
        total, rows = pages.page(0)
        start_row = max(len(rows), total - ROWS)  # the newest are last
        while start_row < total:
            _, more = pages.page(start_row)
            rows += more
            start_row += len(more) or total
        found: list[tuple[str, Json, Json]] = []
        for row in rows:
            if isinstance(row, Unreadable):
                continue
            body = object_in(row, "event")
            event = object_in(body, "event") or body
            found += [
                (str(attempt.get("id")), event, attempt)
                for attempt in objects_in(row, "attempts")
                if str(attempt.get("webhookId")) == self.webhook_id
            ]
        return found

    def _delivery(self, event: Json, attempt: Json) -> Delivery:
        event_id = str(event.get("id") or "").lower()
        status = object_in(attempt, "webhookCallResponse").get("statusCode")
        return Delivery(
            event_type=str(event.get("type")),
            event_id=event_id,
            status=status if isinstance(status, int) else -1,
            is_success=attempt.get("attemptResult") == "Success",
            is_stored=bool(self.store.exists(self.keys.event(event_id))),
        )
