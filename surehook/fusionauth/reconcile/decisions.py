"""Decides what an entry of the event log is to us (FACTS §8, §10 and §16)."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from surehook.fusionauth.reconcile.entries import FAILED, RUNNING, LogEntry
from surehook.shared.event_types import EVENT_TYPES

# An operation that takes longer than this was interrupted: FusionAuth stopped in the middle of it.
SETTLED_AFTER_MS = 10 * 60_000


class Fate(Enum):
    """The end that an event had on FusionAuth's side."""

    NOT_FOR_US = "not for us"
    """FusionAuth never meant to send it to our webhook: one of the three switches was off."""
    ROLLED_BACK = "rolled back"
    """Its operation did not happen, so no handler may run for it."""
    RUNNING = "running"
    """Its operation has not ended yet: ask again later."""
    INTERRUPTED = "interrupted"
    """FusionAuth stopped in the middle of its operation: only its database shows whether that happened."""
    DELIVERED = "delivered"
    """An attempt was answered with 2xx."""
    NOT_DELIVERED = "not delivered"
    """It happened, and no attempt was answered with 2xx. One without an answer may have arrived."""


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Our webhooks at FusionAuth.

    `receive` says whether one would be sent an event of a type and a tenant, fired at an instant in epoch
    milliseconds, with today's switches.
    """

    ids: frozenset[str]
    receive: Callable[[str, str, int], bool]


def fate_of(entry: LogEntry, ours: Webhooks, *, now_ms: int) -> Fate:
    """Says what became of an event.

    The result of an entry tells of its transaction alone, so it never says whether we have the event: an event that is
    not transactional succeeds whatever its receivers answer.
    """
    attempts = entry.attempts_of(ours.ids)
    if not attempts and (entry.result != RUNNING or not _is_meant_for(ours, entry)):
        return Fate.NOT_FOR_US
    if entry.result == FAILED:
        return Fate.ROLLED_BACK
    if entry.result == RUNNING:
        if now_ms - entry.inserted_at_ms < SETTLED_AFTER_MS:
            return Fate.RUNNING
        if _is_transactional(entry.envelope.event_type):
            return Fate.INTERRUPTED
    return Fate.DELIVERED if any(attempt.is_success for attempt in attempts) else Fate.NOT_DELIVERED


def _is_meant_for(ours: Webhooks, entry: LogEntry) -> bool:
    """FusionAuth stopped before it sent the event: only the switches tell for whom it was."""
    return ours.receive(entry.envelope.event_type, entry.envelope.tenant_id, entry.inserted_at_ms)


def _is_transactional(event_type: str) -> bool:
    """A type that we do not know may be transactional."""
    known = EVENT_TYPES.get(event_type)
    return known is None or known.is_transactional
