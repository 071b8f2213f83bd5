"""One entry of FusionAuth's Webhook Event Log (FACTS §10 and §16)."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from surehook.shared.envelope import Envelope, envelope_of, parse_event, parse_json
from surehook.shared.errors import MalformedBody

SUCCESS = "Success"
RUNNING, SUCCEEDED, FAILED = "Running", "Succeeded", "Failed"
NO_STATUS = -1


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to deliver an event. A status of -1 had no answer; its request may have arrived."""

    webhook_id: str
    is_success: bool
    status: int


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An event that FusionAuth fired. `result` tells of its transaction, not of its delivery."""

    log_id: str
    sequence: int
    inserted_at_ms: int
    result: str
    envelope: Envelope
    attempts: tuple[Attempt, ...]

    def attempts_of(self, webhook_ids: frozenset[str]) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.webhook_id in webhook_ids]


def entry_from_json(row: Mapping[str, Any]) -> LogEntry:
    """Reads an entry.

    The stored body is parsed JSON, so its bytes may differ from those that were signed; they are written anew.

    Raises:
        MalformedBody: it holds no event that we could take.
    """
    event = _event(row.get("event"))
    body = _written(event)
    if event.get("id") is None:
        # Without an id, ours is made of the body's bytes, which are not those that were sent.
        raise MalformedBody("the event has no id")
    attempts = row.get("attempts")
    return LogEntry(
        log_id=str(row.get("id") or ""),
        sequence=number(row.get("sequence")),
        inserted_at_ms=number(row.get("insertInstant")),
        result=str(row.get("eventResult") or RUNNING),
        envelope=envelope_of(parse_event(body), body),  # refuses what the endpoint would refuse
        attempts=tuple(_attempt(each) for each in attempts if isinstance(each, dict))
        if isinstance(attempts, list)
        else (),
    )


def may_be_missed(row: Mapping[str, Any], webhook_ids: frozenset[str]) -> bool:
    """Says whether an entry of which no event can be made may have been for these webhooks, and have happened."""
    attempts = row.get("attempts") or []
    if not isinstance(attempts, list) or not all(isinstance(each, dict) for each in attempts):
        return True
    if row.get("eventResult") == FAILED:
        return False
    return row.get("eventResult") != SUCCEEDED or any(_attempt(each).webhook_id in webhook_ids for each in attempts)


def _written(event: Mapping[str, Any]) -> bytes:
    """Returns a body for an event.

    Raises:
        MalformedBody: it holds a number that JSON has no word for, or is nested too deeply.
    """
    envelope = {"event": event}
    try:
        return json.dumps(envelope, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can hold
        return json.dumps(envelope, separators=(",", ":")).encode()
    except ValueError:
        raise MalformedBody("the event has a number that is none") from None
    except RecursionError:
        raise MalformedBody("the event is nested too deeply") from None


def _event(stored: Any) -> Mapping[str, Any]:
    """Returns the event; the envelope around it may be missing, and the whole may be text."""
    if isinstance(stored, str):
        stored = parse_json(stored.encode("utf-8", "surrogatepass"))
    if isinstance(stored, dict) and isinstance(stored.get("event"), dict):
        stored = stored["event"]
    if not isinstance(stored, dict):
        raise MalformedBody("there is no event in the entry")
    return stored


def _attempt(row: Mapping[str, Any]) -> Attempt:
    call = row.get("webhookCallResponse")
    status = call.get("statusCode") if isinstance(call, dict) else None
    return Attempt(
        webhook_id=str(row.get("webhookId") or ""),
        is_success=row.get("attemptResult") == SUCCESS,
        status=status if isinstance(status, int) else NO_STATUS,
    )


def number(value: Any) -> int:
    """Returns a number of the log; 0 for anything else, infinity included."""
    return int(value) if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)) else 0
