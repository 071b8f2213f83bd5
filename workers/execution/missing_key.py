"""Decrypts bodies, and pauses a worker that lacks an encryption key: it claims nothing, and checks again now and then.

The event that could not be decrypted goes back to the head of its queue, uncounted, for a worker that has the key.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from redis.exceptions import RedisError

from surehook.shared.backoff import pause_seconds
from surehook.shared.encryption import BodyCipher
from surehook.workers.metrics import KEY_MISSING, WorkerMetrics

log = logging.getLogger(__name__)

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 30.0
QUIET_SECONDS = 60.0


class Encrypted(Protocol):
    """A claim or a transaction."""

    @property
    def event_id(self) -> str: ...
    @property
    def queue(self) -> str: ...


class MissingKey:
    """The state of one worker process, shared by its threads.

    `key_needed` tells which key an open event's body needs; None when the event is closed or gone.
    """

    def __init__(
        self,
        cipher: BodyCipher,
        key_needed: Callable[[str], str | None],
        metrics: WorkerMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cipher = cipher
        self._key_needed = key_needed
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._event_id: str | None = None
        self._is_missing = False
        self._checks = 0
        self._check_at = 0.0
        self._reported_at = 0.0

    @property
    def is_missing(self) -> bool:
        """True from the first missed key until a key turns out to be there."""
        return self._is_missing

    def decrypt(self, body: bytes, key_id: str) -> bytes:
        """
        Raises:
            KeyMissing: this worker has no key of that fingerprint; report it.
            BodyDamaged: the record was changed by hand.
        """
        plain = self._cipher.decrypt(body, key_id)
        if self._is_missing:
            self.resolved()
        return plain

    def report(self, work: Encrypted, key_id: str) -> None:
        """Pauses the worker, because an event cannot be decrypted here and is given back."""
        with self._lock:
            self._reported_at = self._clock()
            if self._event_id is not None:
                return  # claimed in the same exchange as the event that is being checked
            facts = {"key_id": key_id, "event_id": work.event_id, "queue": work.queue}
            log.error("encryption key missing, worker paused", extra=facts)
            self._event_id = work.event_id
            self._set_missing(is_missing=True)
            self._check_later()

    def resolved(self) -> None:
        """Says that a body was decrypted. If none has failed for a while, no key is missing any more."""
        if not self._is_missing:
            return
        with self._lock:
            if self._is_missing and self._clock() - self._reported_at > QUIET_SECONDS:
                self._resume()

    def is_paused(self) -> bool:
        """Says whether to claim nothing for now."""
        if self._event_id is None:
            return False
        with self._lock:
            if self._clock() < self._check_at:
                return True
            return self._is_still_missing(self._event_id)

    def _is_still_missing(self, event_id: str) -> bool:
        try:
            needed = self._key_needed(event_id)
        except (RedisError, OSError):  # the fetcher logs that the store is unavailable
            self._check_at = self._clock() + FIRST_SECONDS
            return True
        if needed is None:
            # Another worker had the key. Try the next event, but stay not ready, with growing pauses: a worker that
            # lacks a key which the others have takes, and gives back, one event in 30 seconds.
            self._event_id = None
            return False
        if self._cipher.has_key(needed):  # `surehook keys rotate` has re-encrypted it
            self._resume()
            return False
        self._check_later()
        return True

    def _resume(self) -> None:
        log.info("encryption key available, worker resumed")
        self._event_id = None
        self._checks = 0
        self._set_missing(is_missing=False)

    def _check_later(self) -> None:
        pause = pause_seconds(self._checks, first_seconds=FIRST_SECONDS, longest_seconds=LONGEST_SECONDS)
        self._check_at = self._clock() + pause
        self._checks += 1

    def _set_missing(self, *, is_missing: bool) -> None:
        self._is_missing = is_missing
        self._metrics.set_not_ready(KEY_MISSING, is_so=is_missing)
