"""Cursors: places in a list of events, the newest first, as text."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID

from surehook.admin.event_records import EventRecord, milliseconds_of
from surehook.admin.newest import Candidate
from surehook.shared.errors import SurehookError

INSTANT_BYTES = 8


class BadCursor(SurehookError):
    """The cursor of a page is none that was given out: begin with the first page."""


def order_of(event: EventRecord) -> tuple[int, str]:
    return round(milliseconds_of(event.received_at)), event.event_id


def cursor_of(event: EventRecord) -> str:
    received_ms, event_id = order_of(event)
    packed = received_ms.to_bytes(INSTANT_BYTES, "big") + UUID(event_id).bytes
    return urlsafe_b64encode(packed).decode().rstrip("=")


def position_of(cursor: str) -> Candidate:
    try:
        packed = urlsafe_b64decode(cursor.encode("ascii") + b"==")
        event_id = str(UUID(bytes=packed[INSTANT_BYTES:]))
    except ValueError:
        raise BadCursor("this is no place in a list that was given out: begin with the first page") from None
    return Candidate(int.from_bytes(packed[:INSTANT_BYTES], "big"), event_id)
