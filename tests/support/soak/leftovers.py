"""The kinds of keys that may remain after a soak. Any other key, or one that should expire and does not, is a leak."""

import re
from collections import Counter
from collections.abc import Iterator

import redis

from surehook.shared.scripts import text

FOREVER = -1
AT_ONCE = 1000
_ID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# Kinds that exist as long as the installation.
LASTING = {
    "format": r"surehook:format",
    "open": r"surehook:open",
    "ledger": r"surehook:ledger",
    "extra jobs": r"surehook:extra-jobs",
    "known ids": r"surehook:known-ids(:[0-9a-f]{4,8}|-state)",
    "bodies that go": r"surehook:(body-retention|closed-bodies)",
    "queues of ours": r"surehook:queues",
    "failure groups": r"surehook:(group-handlers|groups:\w+|group:[0-9a-f]+)",
    "audit": r"surehook:audit",
    "index of closed events": r"surehook:index(-segments|-key|-state|-checking|-summary:\d+|:\d+)",
    "RQ's queues": r"rq:queues",
    "RQ's workers": r"rq:workers(:(events|slow))?",
    "finished": r"rq:finished:(events|slow)",
    "dead letters": r"rq:failed:(events|slow)",
}
# Kinds that expire.
EXPIRING = {
    "sweep": r"surehook:sweep(ing|-mark)",
    "exchange": r"surehook:exchange:[\w.-]+",
    "counts of minutes": r"surehook:minute:\d+",
    "announced handlers": r"surehook:handlers",
    "RQ's worker": r"rq:worker:[\w.-]+(:executions)?",
}
# Kinds that belong to an event: they expire with it, and stay while it is a dead letter.
OF_EVENTS = {
    "event": rf"surehook:event:(?P<id>{_ID})",
    "attempts": rf"surehook:attempts:(?P<id>{_ID})",
    "job": rf"rq:job:(?P<id>{_ID})(_\w+)?",
    "results": rf"rq:results:(?P<id>{_ID})(_\w+)?",
}


def leftovers(store: redis.Redis) -> tuple[Counter[str], list[str]]:
    """Counts the keys of each kind, and lists the keys that should not exist."""
    is_open = {text(event_id) for event_id in store.zrange("surehook:open", 0, -1)}
    kinds: Counter[str] = Counter()
    wrong = []
    for key, seconds in _with_seconds_left(store):
        kind = _kind(key, is_open, lasts=seconds == FOREVER)
        kinds[kind or "unknown"] += 1
        if kind is None:
            wrong.append(key)
    return kinds, wrong


def _with_seconds_left(store: redis.Redis) -> Iterator[tuple[str, int]]:
    names = [text(key) for key in store.scan_iter(count=AT_ONCE)]
    for start in range(0, len(names), AT_ONCE):
        page = names[start : start + AT_ONCE]
        with store.pipeline(transaction=False) as pipeline:
            for key in page:
                pipeline.ttl(key)
            yield from zip(page, pipeline.execute(), strict=True)


def _kind(key: str, is_open: set[str], *, lasts: bool) -> str | None:
    """Returns the kind of a key; None if no such key should exist, or only with an expiry."""
    for kinds, may_last in ((LASTING, True), (EXPIRING, False)):
        for name, pattern in kinds.items():
            if re.fullmatch(pattern, key):
                return name if may_last or not lasts else None
    for name, pattern in OF_EVENTS.items():
        if found := re.fullmatch(pattern, key):
            if not lasts:
                return f"{name}, closed"
            return f"{name}, dead letter" if found["id"] in is_open else None
    return None
