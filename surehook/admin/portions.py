"""How many acts on events are sent to the store together.

They share the store's fsync. Each is a script of its own, so the store is not blocked by them, and any of them may be
the last one.
"""

AT_ONCE = 50
PORTIONS_A_SECOND = 5


def portion_at(rate: float | None) -> int:
    """The size of a portion that keeps to a rate."""
    return AT_ONCE if rate is None else max(1, min(AT_ONCE, int(rate / PORTIONS_A_SECOND)))
