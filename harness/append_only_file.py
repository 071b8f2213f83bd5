"""The store's append-only file."""

import redis

from harness.stack import wait_until


def rewrite_append_only_file(store: redis.Redis) -> None:
    """Has the store write its file anew, and waits for it. The store may be rewriting on its own: then it refuses."""
    _wait_for_rewrite(store)
    store.bgrewriteaof()
    _wait_for_rewrite(store)


def _wait_for_rewrite(store: redis.Redis) -> None:
    wait_until(lambda: not store.info("persistence")["aof_rewrite_in_progress"], "the append-only file is rewritten")
