"""What a worker does that lacks an encryption key: it takes nothing, says which key, and looks again now and then.

The event it met went back to the head of its queue, uncounted: a worker that has the key takes it at once.
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


class Taken(Protocol):
    """A claim or a transaction."""

    @property
    def event_id(self) -> str: ...
    @property
    def queue(self) -> str: ...


class MissingKey:
    """Of one worker process, asked by all its threads.

    `key_needed` tells which key an open event's body needs, None when it is closed or gone.
    """

    def __init__(
        self,
        vault: BodyCipher,
        key_needed: Callable[[str], str | None],
        metrics: WorkerMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vault = vault
        self._key_needed = key_needed
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._event_id: str | None = None
        self._is_red = False
        self._looks = 0
        self._look_at = 0.0
        self._met_at = 0.0

    @property
    def is_red(self) -> bool:
        """Whether a key was missed, and is not known to be there."""
        return self._is_red

    def meet(self, taken: Taken, key_id: str) -> None:
        """An event that cannot be opened here goes back."""
        with self._lock:
            self._met_at = self._clock()
            if self._event_id is not None:
                return  # claimed in the same trip as the one that is looked at
            facts = {"key_id": key_id, "event_id": taken.event_id, "queue": taken.queue}
            log.error("encryption key is missing here, event given back, nothing is taken", extra=facts)
            self._event_id = taken.event_id
            self._show(is_red=True)
            self._look_later()

    def opened(self) -> None:
        """A body could be opened. Among others that could not be, this says little; after a while, that all is well."""
        if not self._is_red:
            return
        with self._lock:
            if self._is_red and self._clock() - self._met_at > QUIET_SECONDS:
                self._end()

    def holds(self) -> bool:
        """Whether to take nothing for now."""
        if self._event_id is None:
            return False
        with self._lock:
            if self._clock() < self._look_at:
                return True
            return self._still_lacks(self._event_id)

    def _still_lacks(self, event_id: str) -> bool:
        try:
            needed = self._key_needed(event_id)
        except (RedisError, OSError):  # the conveyor says that the store is away
            self._look_at = self._clock() + FIRST_SECONDS
            return True
        if needed is None:
            # Another worker had the key. Try the next event, but stay red, and let the pauses grow: a worker that
            # lacks the key its fleet has takes, and gives back, one event in 30 seconds.
            self._event_id = None
            return False
        if self._vault.opens(needed):  # `surehook keys rotate` has been here
            self._end()
            return False
        self._look_later()
        return True

    def _end(self) -> None:
        log.info("encryption key is not missed any more, events are taken again")
        self._event_id = None
        self._looks = 0
        self._show(is_red=False)

    def _look_later(self) -> None:
        pause = pause_seconds(self._looks, first_seconds=FIRST_SECONDS, longest_seconds=LONGEST_SECONDS)
        self._look_at = self._clock() + pause
        self._looks += 1

    def _show(self, *, is_red: bool) -> None:
        self._is_red = is_red
        self._metrics.set_not_ready(KEY_MISSING, is_so=is_red)
