"""Heartbeats: each process that takes part in transactions sends one a second, with its transactional types.

A heartbeat expires after three seconds.
"""

import logging
import os
import socket
from collections.abc import Iterable
from uuid import uuid4

from surehook.shared.transactional_events import TransactionalTypes

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0
HEARTBEAT_EXPIRES_AFTER_MS = 3000
INGEST, WORKER = "ingest", "worker"
_OTHERS = {INGEST: WORKER, WORKER: INGEST}


def process_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"


class HeartbeatMessage:
    """The heartbeat of one process, compared with the heartbeats of the other kind (ingest or worker)."""

    def __init__(self, kind: str, process: str, types: TransactionalTypes, queue: str = "") -> None:
        self._kind = kind
        self._process = process
        self._types = str(types)
        self._queue = queue
        self._differing: set[str] = set()

    @property
    def available(self) -> tuple[str | int, ...]:
        """Returns the arguments of heartbeat.lua."""
        return (self._kind, self._process, self._queue, self._types, HEARTBEAT_EXPIRES_AFTER_MS, _OTHERS[self._kind])

    @property
    def unavailable(self) -> tuple[str | int, ...]:
        """Returns the same for a process that currently accepts no transactions."""
        return (self._kind, self._process, "", self._types, HEARTBEAT_EXPIRES_AFTER_MS, _OTHERS[self._kind])

    @property
    def deregister(self) -> tuple[str | int, ...]:
        """Returns the arguments of deregister.lua."""
        return (self._kind, self._process, self._queue)

    def compare(self, others: Iterable[str]) -> None:
        """Logs once when another process is configured for other event types, and once when they agree again."""
        differing = {types for types in others if types != self._types}
        for types in differing - self._differing:
            log.error(
                "ingest and workers disagree on SUREHOOK_TRANSACTIONAL_EVENTS: set it to the same for both",
                extra={f"{self._kind}_has": self._types, f"{_OTHERS[self._kind]}_has": types},
            )
        if self._differing and not differing:
            log.info("ingest and workers agree on SUREHOOK_TRANSACTIONAL_EVENTS again")
        self._differing = differing
