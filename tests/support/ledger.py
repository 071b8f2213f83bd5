"""The books: what was accepted is open, done, discarded or erased, and nothing else."""

import redis

from surehook.shared.keys import Keys
from surehook.shared.scripts import text


def ledger(store: redis.Redis) -> dict[str, int]:
    with store.pipeline(transaction=True) as both:  # a worker may be at work: one moment's figures
        both.zcard(Keys().open)
        both.hgetall(Keys().ledger)
        opened, entries = both.execute()
    return {"open": int(opened), **{text(name): int(count) for name, count in entries.items()}}


def is_balanced(store: redis.Redis) -> bool:
    books = ledger(store)
    closed = sum(books.get(entry, 0) for entry in ("done", "discarded", "erased"))
    return books.get("accepted", 0) - closed == books["open"]
