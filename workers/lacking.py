"""What a worker does that lacks an encryption key: it takes nothing, says which key, and looks again now and then.

The event it met went back to the head of its queue, uncounted: a worker that has the key takes it at once.
"""

import logging
import time
from collections.abc import Callable
from typing import Protocol

from shared.backoff import pause_seconds
from shared.vault import Vault
from workers.metrics import KEY_MISSING, WorkerMetrics

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


class LackingKey:
    """Of one worker. `key_needed` tells which key an open event's body needs, None when it is closed or gone."""

    def __init__(
        self,
        vault: Vault,
        key_needed: Callable[[str], str | None],
        metrics: WorkerMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vault = vault
        self._key_needed = key_needed
        self._metrics = metrics
        self._clock = clock
        self._event_id: str | None = None
        self._is_red = False
        self._looks = 0
        self._look_at = 0.0
        self._met_at = 0.0

    def meet(self, claim: Taken, key_id: str) -> None:
        """An event that cannot be opened here was given back."""
        facts = {"key_id": key_id, "event_id": claim.event_id, "queue": claim.queue}
        log.error("encryption key is missing here, event given back, nothing is taken", extra=facts)
        self._event_id = claim.event_id
        self._met_at = self._clock()
        self._show(is_red=True)
        self._look_later()

    def opened(self) -> None:
        """A body could be opened. Among others that could not be, this says little; after a while, that all is well."""
        if self._is_red and self._clock() - self._met_at > QUIET_SECONDS:
            self._end()

    def holds(self) -> bool:
        """Whether to take nothing for now."""
        if self._event_id is None:
            return False
        if self._clock() < self._look_at:
            return True
        needed = self._key_needed(self._event_id)
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
