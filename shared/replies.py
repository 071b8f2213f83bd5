"""The store's replies as text. The client's types allow for settings of it that we never use."""

from collections.abc import Iterable
from typing import Any


def text(reply: Any) -> str:
    """A string reply; "" for none."""
    if reply is None:
        return ""
    return reply.decode() if isinstance(reply, bytes) else str(reply)


def texts(replies: Any) -> list[str]:
    """A list or set of string replies, in its order."""
    found: Iterable[Any] = replies
    return [text(reply) for reply in found]
