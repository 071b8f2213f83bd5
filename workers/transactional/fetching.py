"""The threads in which the handlers of transactional events run: each waits at the queue itself, to lose no time."""

import logging
import threading

from redis.exceptions import RedisError

from surehook.shared.backoff import pause_seconds
from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.workers.execution.timeouts import Timeout
from surehook.workers.queue.threads import OVERRUN_SECONDS
from surehook.workers.slots import Slots
from surehook.workers.transactional.executor import TransactionalExecutor
from surehook.workers.transactional.protocol import Transaction

log = logging.getLogger(__name__)

WAIT_SECONDS = 1.0
LACKING_SECONDS = 0.5
FIRST_BACKOFF_SECONDS = 0.05
LONGEST_BACKOFF_SECONDS = 1.0


class SlotContext:
    """Where one thread runs handlers, as the parent sees it: its slot in the table, and its alarm."""

    def __init__(self, slots: Slots, index: int) -> None:
        self.timeout = Timeout()
        self._slots = slots
        self._index = index

    def take(self, transaction: Transaction) -> None:
        self._slots.reserve(self._index, f"{transaction.event_id}:{transaction.round}")

    def start_run(self, deadline: float) -> None:
        self._slots.start(self._index, deadline + OVERRUN_SECONDS)

    def ran(self) -> None:
        """The handlers have ended. A store that is away meanwhile is no reason to kill anybody."""
        self._slots.ran(self._index)

    def leave(self) -> None:
        self._slots.free(self._index)

    def is_ours(self) -> bool:
        """Nobody takes a transaction over: it is stopped at its deadline, and found by its process's death."""
        return True


class StoreOutage:
    """Whether the store is: said once by all threads of a process, not once by each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_away = False

    def lost(self, exc: Exception) -> None:
        with self._lock:
            is_news, self._is_away = not self._is_away, True
        if is_news:
            facts = {"queue": TRANSACTIONAL_QUEUE, "error_type": type(exc).__name__}
            log.warning("store unavailable, waiting", extra=facts)

    def found(self) -> None:
        if not self._is_away:
            return
        with self._lock:
            is_news, self._is_away = self._is_away, False
        if is_news:
            log.info("store available again")


class TransactionThread(threading.Thread):
    """One RQ worker, one transaction at a time."""

    def __init__(self, name: str, voting: TransactionalExecutor, seat: SlotContext, away: StoreOutage) -> None:
        super().__init__(name=name, daemon=True)
        self.seat = seat
        self.error: BaseException | None = None
        self._voting = voting
        self._away = away
        self._is_stopping = threading.Event()

    @property
    def ended(self) -> int:
        return self._voting.ended

    def stop(self) -> None:
        """Take no more; end when what runs is settled."""
        self._is_stopping.set()
        self._voting.stop()

    def run(self) -> None:
        try:
            self._take_turns()
        except BaseException as exc:
            log.exception("thread broke", extra={"queue": TRANSACTIONAL_QUEUE})
            self.error = exc
        finally:
            self._voting.close()

    def _take_turns(self) -> None:
        failures = 0
        while not self._is_stopping.is_set():
            try:
                if self._voting.missing_key.is_paused():
                    self._is_stopping.wait(LACKING_SECONDS)
                    continue
                self._voting.turn(WAIT_SECONDS)
            except (RedisError, OSError) as exc:
                self._away.lost(exc)
                pause = pause_seconds(
                    failures, first_seconds=FIRST_BACKOFF_SECONDS, longest_seconds=LONGEST_BACKOFF_SECONDS
                )
                self._is_stopping.wait(pause)
                failures += 1
            else:
                failures = 0
                self._away.found()
