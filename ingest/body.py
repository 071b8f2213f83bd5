"""Reads a request body, within limits of size and time."""

import asyncio
from collections.abc import Mapping

from starlette.types import Receive

from surehook.ingest import responses
from surehook.ingest.limits import Reservation
from surehook.ingest.responses import Refusal

BODY_SECONDS = 10.0
MAX_LENGTH_DIGITS = 18  # int() raises for thousands of digits


class SenderLeft(Exception):
    """The client disconnected before it got a response."""


def check_headers(headers: Mapping[bytes, bytes], limit_bytes: int) -> int:
    """Check the announced size and the content type. Returns the size, 0 if none is announced.

    Raises:
        Refusal: carries the response to send.
    """
    length = headers.get(b"content-length", b"0").strip()
    if not length.isdigit() or len(length) > MAX_LENGTH_DIGITS or int(length) > limit_bytes:
        raise Refusal(responses.too_large(limit_bytes), "too_large")
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    encoding = headers.get(b"content-encoding")
    is_encoded = encoding is not None and encoding.strip().lower() != b"identity"
    if media_type != b"application/json" or is_encoded:
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
    """Read the body and count its bytes, because a chunked body does not announce its size.

    A body that has already arrived (`is_complete`, as most are) needs no timeout.

    Raises:
        Refusal: the body is too large or too slow, or all bodies together exceed the limit.
        SenderLeft: the client disconnected.
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

    # Does what asyncio.timeout() does, at a fifth of its cost: hardly any body is late.
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
