"""How long to wait before the next try of something of ours; handlers' retries are another matter."""

# 2 ** 1024 is no float any more: a store that was away for half an hour must not end whoever waits for it.
MOST_DOUBLINGS = 16


def pause_seconds(failures: int, *, first_seconds: float, longest_seconds: float) -> float:
    """Twice as long after each failure, up to a bound. `failures` counts from 0."""
    return min(first_seconds * 2.0 ** min(failures, MOST_DOUBLINGS), longest_seconds)
