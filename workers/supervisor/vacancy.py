"""The place of a worker process that has died, and when it is filled again."""

from dataclasses import dataclass

from surehook.shared.backoff import pause_seconds

RESTART_SECONDS = 0.5
LONGEST_RESTART_SECONDS = 10.0
LIVED_LONG_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class PendingRestart:
    """`fill_at` is on the clock of time.monotonic()."""

    queue: str
    quick_deaths: int
    fill_at: float


def vacancy(queue: str, *, quick_deaths: int, lived_seconds: float, status: int, now: float) -> PendingRestart:
    """At once as a rule; later and later where one process after the other dies young.

    Args:
        quick_deaths: how many of them did, one after the other, before the one that has died now.
    """
    if lived_seconds > LIVED_LONG_SECONDS or status == 0:
        return PendingRestart(queue, 0, now)
    quick_deaths += 1
    if quick_deaths == 1:
        return PendingRestart(queue, quick_deaths, now)
    pause = pause_seconds(quick_deaths, first_seconds=RESTART_SECONDS, longest_seconds=LONGEST_RESTART_SECONDS)
    return PendingRestart(queue, quick_deaths, now + pause)
