"""Reading a body: no more than the limit, no longer than the sender deserves."""

import asyncio
from collections.abc import Mapping

from starlette.types import Receive

from ingest import answers
from ingest.answers import Refusal

BODY_SECONDS = 10.0
LONGEST_NUMBER = 18  # digits; int() refuses thousands of them


class SenderLeft(Exception):
    """The connection closed before the body was complete: there is nobody to answer."""


def refuse_by_header(headers: Mapping[bytes, bytes], limit_bytes: int) -> None:
    """Size and content type, as far as the headers tell.

    Raises:
        Refusal: with the answer to send.
    """
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > LONGEST_NUMBER or int(length) > limit_bytes:
        raise Refusal(answers.too_large(limit_bytes), "too_large")
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type != b"application/json" or headers.get(b"content-encoding", b"identity") != b"identity":
        raise Refusal(answers.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")


async def read_body(receive: Receive, limit_bytes: int, seconds: float = BODY_SECONDS) -> bytes:
    """The body, counted while it comes: a chunked one says nothing of its size beforehand.

    Raises:
        Refusal: too large or too slow.
        SenderLeft: the sender hung up.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise SenderLeft
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit_bytes:
                    raise Refusal(answers.too_large(limit_bytes), "too_large")
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return b"".join(chunks)
    except TimeoutError:
        raise Refusal(answers.too_slow(seconds), "too_slow") from None
