"""The facts of an event for the index of closed events, built where its handler has run."""

from typing import Protocol

from surehook.shared.event_index import NO_PERSON, EmailHash, pack_facts, word_hashes
from surehook.shared.index_key import IndexKey, read_or_none
from surehook.shared.models import Event


class ClosingEvent(Protocol):
    """An event that a handler may close."""

    @property
    def event_type(self) -> str: ...
    @property
    def tenant_id(self) -> str: ...
    @property
    def application_ids(self) -> str: ...
    @property
    def user_id(self) -> str: ...
    @property
    def received_ms(self) -> int: ...


class IndexFacts:
    """Shared by the threads of a process."""

    def __init__(self, key: IndexKey | None = None) -> None:
        self._key = key
        self._emails: EmailHash | None = None

    def load_key(self) -> None:
        """Reads the key for addresses, unless it is known. Without it a row lacks the address, which is added later."""
        key = None if self._key is None or self._emails is not None else read_or_none(self._key)
        if key is not None:
            self._emails = EmailHash(key)

    def of(self, event: ClosingEvent, handler: str | None, email: str | None) -> bytes:
        """
        Empty if it is not known when the event came.

        Args:
            handler: None if there may be others.
            email: "" if the event names none, None if that is not known.
        """
        if not event.received_ms:
            return b""
        hashed = None
        if email is not None and self._emails is not None:
            hashed = self._emails.of(email) if email else NO_PERSON
        words = word_hashes(event.event_type, event.tenant_id, event.application_ids, handler)
        return pack_facts(words, event.user_id, hashed, event.received_ms)


def email_of(event: Event) -> str | None:
    """The address of an event's user, "" if it names none. None: the event does not fit its model."""
    if event.misfits:
        return None
    email = getattr(getattr(event, "user", None), "email", None)
    if email is None:
        return ""
    return email if isinstance(email, str) else None
