"""Reading a body: no more than the limit, no longer than the sender deserves."""

import asyncio
from collections.abc import Mapping

from starlette.types import Receive

from surehook.ingest import responses
from surehook.ingest.limits import Reservation
from surehook.ingest.responses import Refusal

BODY_SECONDS = 10.0
MAX_LENGTH_DIGITS = 18  # digits; int() refuses thousands of them


class SenderLeft(Exception):
    """The connection closed before the body was complete: there is nobody to answer."""


def check_headers(headers: Mapping[bytes, bytes], limit_bytes: int) -> int:
    """Size and content type, as far as the headers tell. Returns the size, 0 where they do not tell it.

    Raises:
        Refusal: with the answer to send.
    """
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > MAX_LENGTH_DIGITS or int(length) > limit_bytes:
        raise Refusal(responses.too_large(limit_bytes), "too_large")
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type != b"application/json" or headers.get(b"content-encoding", b"identity") != b"identity":
        raise Refusal(responses.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
    return int(length)


async def read_body(
    receive: Receive,
    limit_bytes: int,
    reservation: Reservation,
    seconds: float = BODY_SECONDS,
    *,
    is_complete: bool = False,
) -> bytes:
    """The body, counted while it comes: a chunked one says nothing of its size beforehand. Of one that is there as a
    whole, as most are, none can be late.

    Raises:
        Refusal: too large or too slow, or all bodies together are too much.
        SenderLeft: the sender hung up.
    """
    if is_complete:
        return await _read(receive, limit_bytes, reservation)
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - we are a coroutine
    is_late = False

    def cancel() -> None:
        nonlocal is_late
        is_late = True
        task.cancel()

    # As asyncio.timeout() does it, for a fifth of the price: hardly any body is late.
    timer = asyncio.get_running_loop().call_later(seconds, cancel)
    try:
        return await _read(receive, limit_bytes, reservation)
    except asyncio.CancelledError:
        if is_late and task.uncancel() == 0:
            raise Refusal(responses.too_slow(seconds), "too_slow") from None
        raise
    finally:
        timer.cancel()


async def _read(receive: Receive, limit_bytes: int, reservation: Reservation) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise SenderLeft
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit_bytes:
            raise Refusal(responses.too_large(limit_bytes), "too_large")
        reservation.grow_to(size)
        if not message.get("more_body", False):
            return b"".join([*chunks, chunk]) if chunks else bytes(chunk)
        chunks.append(chunk)
