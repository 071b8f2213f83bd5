"""Submits transactional events: those of a batch in one call of the script."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex

from surehook.ingest.difference_log import DifferenceLog
from surehook.ingest.store.script_batcher import ScriptBatcher
from surehook.ingest.transactional.outcomes import Outcome
from surehook.shared.encryption import BodyCipher
from surehook.shared.envelope import Envelope
from surehook.shared.heartbeat import HEARTBEAT_EXPIRES_AFTER_MS
from surehook.shared.scripts import Argument, text
from surehook.shared.settings import Settings

CONFIRM_MS = 250


@dataclass(frozen=True, slots=True)
class Request:
    """A delivery of a transactional event, and the deadline of its response (time.perf_counter)."""

    envelope: Envelope
    deadline: float

    @property
    def seconds_left(self) -> float:
        return self.deadline - time.perf_counter()


class Submission:
    """Submits the events of one process."""

    def __init__(self, settings: Settings, batcher: ScriptBatcher, process: str) -> None:
        self._batcher = batcher
        self._cipher = BodyCipher(settings.encryption_keys)
        self._difference_log = DifferenceLog()
        self._common: Sequence[Argument] = (
            f"{settings.handler_timeout:g}",
            process,
            settings.decision_memory * 1000,
            CONFIRM_MS,
            settings.retention,
            HEARTBEAT_EXPIRES_AFTER_MS,
            "webhook",
            settings.max_backlog,
        )

    async def submit(self, request: Request) -> Outcome:
        """The state of the event's transaction, and its round.

        Raises:
            StoreUnavailable: it is unknown whether the event was submitted.
        """
        envelope = request.envelope
        body, key_id = self._cipher.encrypt(envelope.body)  # nothing readable leaves this process
        submitted = self._batcher.start(
            "txn_submit",
            envelope.event_id,
            envelope.event_type,
            envelope.tenant_id,
            envelope.user_id,
            envelope.application_ids,
            body,
            key_id,
            token_hex(16),
            lambda: max(0, round(request.seconds_left * 1000)),  # computed late: the store's deadline is not after ours
            common=self._common,
        )
        if envelope.sender_trace:
            self._batcher.post("remember_trace", envelope.event_id, envelope.sender_trace)
        state, round_id, _, reason, known_type = await submitted
        if known_type:
            self._difference_log.add(envelope, text(known_type))
        return Outcome(text(round_id), text(state), text(reason))
