"""The facts of an event for the index of closed events, built where its handler has run."""

from surehook.shared.event_index import NO_PERSON, EmailHash, pack_facts, word_hashes
from surehook.shared.models import Event
from surehook.workers.claim import Claim


class IndexFacts:
    """Shared by the threads of a process."""

    def __init__(self) -> None:
        self.emails: EmailHash | None = None
        """Hashes addresses; without it a row lacks the address, which is added later."""

    def of(self, claim: Claim, handler: str, email: str | None) -> bytes:
        """`email`: "" if the event names none, None if that is not known."""
        hashed = None
        if email is not None and self.emails is not None:
            hashed = self.emails.of(email) if email else NO_PERSON
        # One of several handlers does not know the others.
        only = None if len(claim.job_id) > len(claim.event_id) else handler
        words = word_hashes(claim.event_type, claim.tenant_id, claim.application_ids, only)
        return pack_facts(words, claim.user_id, hashed, claim.received_ms)


def email_of(event: Event) -> str | None:
    """The address of an event's user, "" if it names none. None: the event does not fit its model."""
    if event.misfits:
        return None
    email = getattr(getattr(event, "user", None), "email", None)
    if email is None:
        return ""
    return email if isinstance(email, str) else None
