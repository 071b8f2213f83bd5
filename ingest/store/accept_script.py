"""The script that accepts events: its arguments, from a delivery or from the spool, and its replies."""

import asyncio
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, NamedTuple
from uuid import uuid4

from surehook.ingest.difference_log import DifferenceLog
from surehook.ingest.store.connection import ErrorReply, Replies, pack
from surehook.shared.encryption import BodyCipher
from surehook.shared.envelope import Envelope
from surehook.shared.errors import StoreError
from surehook.shared.job_id import packed_id
from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import Script, Store, text
from surehook.shared.settings import Settings

BACKLOG_FULL = -1
KNOWN = b"known "  # before the type of the event that has the id, if it is another one
REFUSED = b"refused "  # before the code of the error that the event alone causes
# Reads back a word, which shows that the reply before it belongs to the batch.
ECHO = "return ARGV[1]"


class AcceptResult(Enum):
    """The result of accepting an event: as the script replies it, or SPOOLED."""

    STORED = 1
    DUPLICATE = 0
    SPOOLED = 2
    """On the local disk, to be forwarded to the store."""


RESULTS = (AcceptResult.DUPLICATE, AcceptResult.STORED)  # by the script's reply


class SpooledEvent(NamedTuple):
    """An event from the spool, with its body as it is to be stored."""

    event_id: str
    event_type: str
    tenant_id: str
    user_id: str
    application_ids: str
    source: str
    body: bytes
    key_id: str
    received_at: int
    """Milliseconds since 1970."""


ForwardResult = AcceptResult | str | None
"""The result for an event from the spool: text says why the store refuses it, None that it has no room for it yet."""


class SpooledBatch:
    """Events from the spool on their way to the store, and the future of their results."""

    def __init__(self, events: Sequence[SpooledEvent]) -> None:
        self.events = events
        self.word = uuid4().hex
        self.results: asyncio.Future[list[ForwardResult]] = asyncio.get_running_loop().create_future()

    def has_own_reply(self, replies: Replies) -> bool:
        """False if the replies belong to other commands: then events would be deleted that the store lacks."""
        return isinstance(replies[0], ErrorReply) or replies[1] == self.word.encode()

    def results_of(self, outcomes: Sequence[int | bytes], differences: DifferenceLog) -> list[ForwardResult]:
        return [self._result(*each, differences) for each in zip(self.events, outcomes, strict=True)]

    def finish(self, error: StoreError | None, results: list[ForwardResult]) -> None:
        if self.results.done():
            return
        if error:
            self.results.set_exception(error)
        else:
            self.results.set_result(results)

    def _result(self, event: SpooledEvent, outcome: int | bytes, differences: DifferenceLog) -> ForwardResult:
        if isinstance(outcome, int):
            return None if outcome == BACKLOG_FULL else RESULTS[outcome]
        known = known_type(outcome)
        if known is None:
            return text(outcome.removeprefix(REFUSED))
        differences.add(event, known)
        return AcceptResult.DUPLICATE


class AcceptScript:
    """The script with the settings that every event gets."""

    def __init__(self, settings: Settings) -> None:
        keys = Keys(settings.key_prefix)
        self._script, self._remember_trace = Script("accept", keys), Script("remember_trace", keys)
        self.name = self._script.name
        self._cipher = BodyCipher(settings.encryption_keys)
        self._handler_timeout = f"{settings.handler_timeout:g}"
        self._max_backlog = settings.max_backlog

    def pack(self, envelopes: Sequence[Envelope], *, with_source: bool) -> tuple[bytes, int]:
        """The command for events from deliveries, another if senders have begun traces, and their number."""
        script = self._script
        command: list[Any] = ["EVAL", script.source, 0] if with_source else ["EVALSHA", script.sha, 0]
        for envelope in envelopes:
            command += self._arguments(envelope)
        command.append(self._max_backlog)
        traced = [part for each in envelopes if each.sender_trace for part in (each.event_id, each.sender_trace)]
        if traced:
            return pack(command) + pack(("EVAL", self._remember_trace.source, 0, *traced)), 2
        return pack(command), 1

    def run(self, store: Store, envelopes: Iterable[Envelope], source: str) -> list[int | bytes]:
        """Accepts events over a client for threads, and returns the script's outcomes."""
        arguments = [part for envelope in envelopes for part in self._arguments(envelope, source)]
        found: list[int | bytes] = self._script.run(store, *arguments, self._max_backlog)
        return found

    def pack_spooled(self, batch: SpooledBatch) -> bytes:
        """Two commands: one for events from the spool, one that reads back the batch's word."""
        events = batch.events
        command: list[Any] = ["EVAL", self._script.source, 0]  # after an outage the store may not know the script
        for *fields, body, key_id, _ in events:
            command += (*fields, body, EVENTS_QUEUE, self._handler_timeout, key_id, packed_id(fields[0]))
        command += (self._max_backlog, " ".join(str(event.received_at) for event in events))
        return pack(command) + pack(("EVAL", ECHO, 0, batch.word))

    def _arguments(self, envelope: Envelope, source: str = "webhook") -> tuple[bytes | str, ...]:
        body, key_id = self._cipher.encrypt(envelope.body)  # nothing readable leaves this process
        return (
            envelope.event_id,
            envelope.event_type,
            envelope.tenant_id,
            envelope.user_id,
            envelope.application_ids,
            source,
            body,
            EVENTS_QUEUE,
            self._handler_timeout,
            key_id,
            packed_id(envelope.event_id),
        )


def are_outcomes(reply: Any, count: int) -> bool:
    """Says whether a reply has the script's form."""
    return (
        isinstance(reply, list)
        and len(reply) == count
        and (set(map(type, reply)) == {int} or all(map(_is_outcome, reply)))
    )


def known_type(outcome: bytes) -> str | None:
    """The type of the event that has the id; None if the outcome is a refusal."""
    return text(outcome.removeprefix(KNOWN)) if outcome.startswith(KNOWN) else None


def _is_outcome(outcome: Any) -> bool:
    return type(outcome) is int or (type(outcome) is bytes and outcome.startswith((KNOWN, REFUSED)))
