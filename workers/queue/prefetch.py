"""How many claims to hold ahead of the threads that run them: twice as many as end while a trip is under way.

Handlers that take longer than a trip get nothing ahead: what would wait here could be started elsewhere.
"""

MOST_AHEAD_OF_A_THREAD = 8
MOST_AHEAD = 64
WEIGHT_OF_LAST = 0.3
DECAY = 0.9
FIRST_TRIP_SECONDS = 0.002


class Prefetch:
    """Told of every trip; answers with a number."""

    def __init__(self, threads: int, *, may_hold_ahead: bool = True) -> None:
        self.threads = threads
        self.most_ahead = min(MOST_AHEAD_OF_A_THREAD * threads, MOST_AHEAD) if may_hold_ahead else 0
        self.trip_seconds = FIRST_TRIP_SECONDS
        self._ended_in_a_trip = 0.0

    def took(self, trip_seconds: float, ended: int) -> None:
        """A trip, and how many runs had ended since the one before."""
        self.trip_seconds += WEIGHT_OF_LAST * (trip_seconds - self.trip_seconds)
        # The most of late: trips that settle much and trips that bring much come by turns.
        self._ended_in_a_trip = max(float(ended), DECAY * self._ended_in_a_trip)

    def ahead(self, long_running: int) -> int:
        """`long_running` threads run something that takes longer than a trip."""
        share = (self.threads - long_running) / self.threads
        return min(self.most_ahead, int(2 * self._ended_in_a_trip * share))

    def wanted(self, busy: int, long_running: int) -> int:
        """How many to ask for when so many claims are here already.

        Idle threads are served at once. What is held ahead comes in halves: one half runs while the other is under way.
        Otherwise all would be claimed in one trip and settled in the next, and threads and store would wait in turn.
        """
        most = self.threads + self.ahead(long_running)
        return max(0, min(most - busy, max(self.threads - busy, (most + 1) // 2)))
