"""The rows of the index of closed events: how they are laid out, and the facts that a row holds.

A row has 52 bytes: the event's id (16), its facts (35) and its outcome (1). All but the id and the instant are hashes,
so that a row can be found by a value but says nothing readable. The scripts (`scripts/lib/index.lua`) have the same
layout.
"""

import hmac
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha1
from typing import Any

ROW_BYTES = 52
ROWS_A_SEGMENT = 4096
ID, TYPE, TENANT, APPLICATION, HANDLER, USER, EMAIL, IS_FINISHED, RECEIVED, OUTCOME = (
    0,
    16,
    20,
    24,
    28,
    32,
    38,
    44,
    45,
    51,
)
WORD_BYTES, PERSON_BYTES, INSTANT_BYTES = 4, 6, 6
ANY = b"\xff" * WORD_BYTES
"""Several applications, or handlers that only the record names."""
OUTCOMES = ("done", "unhandled", "completed", "discarded", "rejected", "failed", "abandoned")
"""Their codes begin with 1; 0 stands in a row that was cleared."""
OTHER_OUTCOME = 255
NO_PERSON = bytes(PERSON_BYTES)


def short_hash(text: str, size: int) -> bytes:
    """The first bytes of a text's SHA-1, which the scripts can compute as well; zeros for an empty text."""
    return sha1(text.encode(), usedforsecurity=False).digest()[:size] if text else bytes(size)


def email_hash(key: bytes, email: str) -> bytes:
    """A keyed hash: without the key it cannot be found out whether an address is in the index."""
    return EmailHash(key).of(email)


class EmailHash:
    """Hashes many addresses with one key. It is prepared once, which takes half of the time of a hash."""

    def __init__(self, key: bytes) -> None:
        self._prepared = hmac.new(key, digestmod="sha256")

    def of(self, email: str) -> bytes:
        hashed = self._prepared.copy()
        hashed.update(email.lower().encode("utf-8", "surrogatepass"))
        return hashed.digest()[:PERSON_BYTES]


def email_in(event: Mapping[str, Any]) -> str:
    """The address of an event's user, as it came; "" if it names none."""
    user = event.get("user")
    email = user.get("email") if isinstance(user, dict) else None
    return email if isinstance(email, str) else ""


@lru_cache(maxsize=1024)
def word_hashes(event_type: str, tenant_id: str, application_ids: str, handler: str | None) -> bytes:
    """The four columns of what few values can be in. A handler of None: only the record names the handlers."""
    application = ANY if "," in application_ids else short_hash(application_ids, WORD_BYTES)
    last = ANY if handler is None else short_hash(handler, WORD_BYTES)
    return short_hash(event_type, WORD_BYTES) + short_hash(tenant_id, WORD_BYTES) + application + last


def pack_facts(words: bytes, user_id: str, hashed_email: bytes | None, received_ms: int) -> bytes:
    """Everything between id and outcome. A `hashed_email` of None: not known yet."""
    email = NO_PERSON if hashed_email is None else hashed_email
    user = short_hash(user_id, PERSON_BYTES)
    return b"%b%b%b%c%b" % (words, user, email, hashed_email is not None, received_ms.to_bytes(INSTANT_BYTES, "big"))
