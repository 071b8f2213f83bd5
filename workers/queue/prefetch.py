"""Decides how many claims to hold ahead of the handler threads: twice as many as finish during one exchange.

A job that waits here could start in another process. So handlers that run longer than an exchange get no claims ahead,
except where many run at once and one ends every 2 ms: then as many are held as will start within three exchanges.

While more jobs wait here than finish from one exchange to the next, the next exchange can wait as well: one with many
results costs the store and this process little more than one with a few. With fewer, the threads would have nothing to
do before its reply is here.
"""

import math

MOST_AHEAD_OF_A_THREAD = 8
MOST_AHEAD = 64
WEIGHT_OF_LAST = 0.3
DECAY, RATE_DECAY = 0.9, 0.95
FIRST_EXCHANGE_SECONDS = 0.002
# Another process needs about this long to claim a job: if handlers end more often, one held here starts no later.
SOON_SECONDS = 0.002
# It takes eight ends to know how often slow handlers end, and after a pause that is unknown again.
ENOUGH_FINISHED, LONGEST_GAP_SECONDS = 8, 0.1
# The longest pause between two exchanges, and how many jobs must wait at least for each thread.
LONGEST_REST_SECONDS = 0.002
ENOUGH_FOR_A_THREAD = 2


class Prefetch:
    """Is told of every exchange, and says how many claims to ask for."""

    def __init__(self, threads: int, *, may_hold_ahead: bool = True) -> None:
        self.threads = threads
        self.most_ahead = min(MOST_AHEAD_OF_A_THREAD * threads, MOST_AHEAD) if may_hold_ahead else 0
        self.exchange_seconds = FIRST_EXCHANGE_SECONDS
        self._finished_per_exchange = self._exchanged_at = 0.0
        # Jobs that have finished, and the seconds that it took; older exchanges count less.
        self._finished = self._seconds = 0.0

    @property
    def slots(self) -> int:
        """For running and prefetched claims, and as many finished ones whose acknowledgement is on its way."""
        return 2 * (self.threads + self.most_ahead)

    def record(self, exchange_seconds: float, finished: int, now: float) -> None:
        """Records an exchange that ends now, and how many jobs had finished since the one before."""
        gap = now - self._exchanged_at
        if gap > LONGEST_GAP_SECONDS:
            self.forget_rate()
        else:
            self._finished = finished + RATE_DECAY * self._finished
            self._seconds = gap + RATE_DECAY * self._seconds
        self._exchanged_at = now
        self.exchange_seconds += WEIGHT_OF_LAST * (exchange_seconds - self.exchange_seconds)
        # A decaying maximum: exchanges that acknowledge many and exchanges that fetch many alternate.
        self._finished_per_exchange = max(float(finished), DECAY * self._finished_per_exchange)

    def forget_rate(self) -> None:
        """Called when jobs go back: until handlers have ended again, slow ones get nothing ahead."""
        self._finished = self._seconds = 0.0

    def may_rest(self, waiting: int, now: float) -> bool:
        """Says whether the next exchange can wait: `waiting` jobs are here that no thread has taken."""
        enough = max(ENOUGH_FOR_A_THREAD * self.threads, self._finished_per_exchange)
        return waiting >= enough and now < self._exchanged_at + LONGEST_REST_SECONDS

    def ahead(self, long_running: int, now: float) -> int:
        """`long_running` of the handlers that run take longer than an exchange."""
        ahead = int(2 * self._finished_per_exchange * (self.threads - long_running) / self.threads)
        if 2 * long_running > self.threads:
            ahead = max(ahead, self._soon(now))
        return min(self.most_ahead, ahead)

    def _soon(self, now: float) -> int:
        """How many jobs start within three exchanges; 0 if that is seldom."""
        seconds = self._seconds + now - self._exchanged_at
        if self._finished < ENOUGH_FINISHED or not 0 < seconds <= self._finished * SOON_SECONDS:
            return 0
        return math.ceil(3 * self.exchange_seconds * self._finished / seconds)

    def wanted(self, busy: int, long_running: int, now: float) -> int:
        """How many claims to ask for when `busy` are here already.

        Idle threads are served immediately. Claims ahead come in halves: one half runs while the other is fetched.
        Otherwise all would be claimed in one exchange and acknowledged in the next, and threads and store would wait in
        turn.
        """
        most = self.threads + self.ahead(long_running, now)
        return max(0, min(most - busy, max(self.threads - busy, (most + 1) // 2)))
