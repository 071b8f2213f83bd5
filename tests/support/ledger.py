"""The ledger of the store: every accepted event is open, done, discarded or erased."""

import redis

from surehook.shared.keys import Keys
from surehook.shared.scripts import text


def ledger(store: redis.Redis) -> dict[str, int]:
    with store.pipeline(transaction=True) as both:  # a worker may be running: both figures must be of one instant
        both.zcard(Keys().open)
        both.hgetall(Keys().ledger)
        opened, counts = both.execute()
    entries = {"open": int(opened), **{text(name): int(count) for name, count in counts.items()}}
    if renumbered := entries.pop("renumbered", 0):
        entries["accepted"] -= renumbered  # a replayed event gets a new number, which is no new event
    entries.pop("replayed", None)  # not part of the balance
    return entries


def is_balanced(store: redis.Redis) -> bool:
    entries = ledger(store)
    closed = sum(entries.get(name, 0) for name in ("done", "discarded", "erased"))
    return entries.get("accepted", 0) - closed == entries["open"]
