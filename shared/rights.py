"""The commands that an account of the store needs, and the check that it may use them.

A missing right would otherwise show when its command is first needed: when a machine has died, or a retry is due.
"""

import re
from collections.abc import Iterable

from surehook.shared.errors import StoreRefused
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script, Store, texts

_CALL = re.compile(r"redis\.call\('([A-Z]+)'")
INGEST_SCRIPTS = (
    "accept",
    "txn_submit",
    "txn_confirm",
    "txn_abandon",
    "heartbeat",
    "txn_recover",
    "deregister",
    "stats",
    "txn_lost",
    "remember_trace",
)
INGEST_COMMANDS = ("EVAL", "EVALSHA", "GET", "SET", "DEL", "BLMPOP", "ZCARD")
WORKER_SCRIPTS = (
    "exchange", "tend_limited", "move_queue", "renew", "interrupt", "promote_due", "sweep", "sweep_lock", "sweep_mark",
    "sweep_canceled", "sweep_failed", "sweep_order", "expected_jobs", "expected_job_counts", "txn_claim", "txn_settle",
    "txn_give_back", "txn_recover", "txn_bury", "heartbeat", "deregister", "stats", "take_untold", "told",
    "count_minutes", "announce_handlers", "drop_bodies", "forget_ids", "forget_groups", "unindexed", "index_events",
    "check_rows", "index_mark", "index_summary", "set_if_absent",
)  # fmt: skip
WORKER_COMMANDS = (
    "EVAL", "EVALSHA", "TIME", "MULTI", "EXEC", "BLMOVE", "BLPOP", "DEL", "EXISTS", "EXPIRE", "GET", "HEXISTS", "HGET",
    "HMGET", "HSET", "LRANGE", "PEXPIRE", "SADD", "SCAN", "SET", "SMEMBERS", "SPOP", "SREM", "ZCARD", "ZRANGE",
    "ZRANGEBYSCORE", "ZSCAN",
)  # fmt: skip


class Rights:
    """The rights of one kind of process. The scripts are read for the commands that they call."""

    def __init__(self, keys: Keys, scripts: Iterable[str], commands: Iterable[str]) -> None:
        called = {command for name in scripts for command in _CALL.findall(Script(name, keys).source.decode())}
        self.commands = tuple(sorted(called | set(commands)))
        self.script = Script("missing_rights", keys)

    def require(self, refused: Iterable[str]) -> None:
        """Checks the script's reply.

        Raises:
            StoreRefused: names what the account may not do.
        """
        if missing := ", ".join(refused):
            raise StoreRefused(
                f"the account in SUREHOOK_REDIS_URL may not use {missing}: allow it (docs/operations.md, Accounts)"
            )

    def check(self, store: Store) -> None:
        """Asks the store which of the commands its account may not use on Surehook's keys.

        Raises:
            StoreRefused: names what the account may not do.
        """
        self.require(texts(self.script.run(store, *self.commands)))


def ingest_rights(keys: Keys) -> Rights:
    return Rights(keys, INGEST_SCRIPTS, INGEST_COMMANDS)


def worker_rights(keys: Keys) -> Rights:
    return Rights(keys, WORKER_SCRIPTS, WORKER_COMMANDS)
