"""Who lives: each process that takes part in transactions beats once a second, and says which events it means."""

import logging
import os
import socket
from collections.abc import Iterable
from uuid import uuid4

from surehook.shared.transactional_events import TransactionalTypes

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
FORGOTTEN_AFTER_MS = 3000
INGEST, WORKER = "ingest", "worker"
_OTHERS = {INGEST: WORKER, WORKER: INGEST}


def process_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"


class HeartbeatMessage:
    """One process's beat, and what it makes of the beats of the other kind."""

    def __init__(self, kind: str, process: str, types: TransactionalTypes, queue: str = "") -> None:
        self._kind = kind
        self._process = process
        self._types = str(types)
        self._queue = queue
        self._differing: set[str] = set()

    @property
    def beat(self) -> tuple[str | int, ...]:
        """Arguments for heartheartbeat.lua."""
        return (self._kind, self._process, self._queue, self._types, FORGOTTEN_AFTER_MS, _OTHERS[self._kind])

    @property
    def beat_only(self) -> tuple[str | int, ...]:
        """The same of a process that takes nothing for now."""
        return (self._kind, self._process, "", self._types, FORGOTTEN_AFTER_MS, _OTHERS[self._kind])

    @property
    def still(self) -> tuple[str | int, ...]:
        """Arguments for deregister.lua."""
        return (self._kind, self._process, self._queue)

    def hear(self, others: Iterable[str]) -> None:
        """Say so when the others mean other events than we do: once, until it changes."""
        differing = {types for types in others if types != self._types}
        for types in differing - self._differing:
            log.error(
                "ingest and workers disagree on SUREHOOK_TRANSACTIONAL_EVENTS: set it to the same for both",
                extra={f"{self._kind}_has": self._types, f"{_OTHERS[self._kind]}_has": types},
            )
        if self._differing and not differing:
            log.info("ingest and workers agree on SUREHOOK_TRANSACTIONAL_EVENTS again")
        self._differing = differing
