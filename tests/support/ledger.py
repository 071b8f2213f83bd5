"""The books: what was accepted is open, done, discarded or erased, and nothing else."""

import redis

from shared.keys import Keys
from shared.replies import text


def ledger(store: redis.Redis) -> dict[str, int]:
    found = {text(name): int(count) for name, count in store.hgetall(Keys().ledger).items()}
    return {"open": int(store.zcard(Keys().open)), **found}


def is_balanced(store: redis.Redis) -> bool:
    books = ledger(store)
    closed = sum(books.get(entry, 0) for entry in ("done", "discarded", "erased"))
    return books.get("accepted", 0) - closed == books["open"]
