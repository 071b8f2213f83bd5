"""Exponential backoff of our own processes and connections. Handlers' retries are in workers/handlers/retry.py."""

# 2 ** 1024 overflows a float: a store that is unavailable for half an hour must not crash a process that waits for it.
MOST_DOUBLINGS = 16


def pause_seconds(failures: int, *, first_seconds: float, longest_seconds: float) -> float:
    """Doubles the pause after each failure, up to a bound. `failures` counts from 0."""
    return min(first_seconds * 2.0 ** min(failures, MOST_DOUBLINGS), longest_seconds)
