"""Our store, for reconciling: which events it knows, and storing those it does not."""

from collections.abc import Sequence

import redis

from surehook.admin.transactions import Decisions
from surehook.fusionauth.reconcile.entries import LogEntry
from surehook.fusionauth.reconcile.runner import Known, Stored
from surehook.ingest.store.accept_script import BACKLOG_FULL, AcceptScript, known_type
from surehook.shared.errors import StoreFull, StoreUnavailable
from surehook.shared.job_id import packed_id
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script, texts
from surehook.shared.settings import Settings

SOURCE = "reconcile"
AT_ONCE = 100
BATCH_BYTES = 1024 * 1024
FSYNC_MS = 5_000


class Recovery:
    """Reads and writes over one connection, so that WAITAOF waits for these writes."""

    def __init__(self, store: redis.Redis, settings: Settings) -> None:
        self._store: redis.Redis = store.client()  # type: ignore[no-untyped-call] # redis-py's own
        self._script = AcceptScript(settings)
        keys = Keys(settings.key_prefix)
        self._look_up = Script("look_up", keys)
        self._decisions = Decisions(
            store, keys, retention_seconds=settings.retention, handler_timeout=settings.handler_timeout
        )
        self._replicas = settings.replicas if settings.durability == "replicated" else 0
        self._is_durable = settings.durability in ("fsync", "replicated")

    def look_up(self, event_ids: Sequence[str]) -> list[Known]:
        found: list[Known] = []
        for start in range(0, len(event_ids), AT_ONCE):
            asked = [part for each in event_ids[start : start + AT_ONCE] for part in (each, packed_id(each))]
            states = self._look_up.run(self._store, *asked)
            found += map(Known, texts(states))
        return found

    def store(self, entries: Sequence[LogEntry]) -> list[Stored]:
        """Stores events in their order, as FusionAuth's facts: transactional handlers run on the retrying queue.

        Raises:
            StoreFull: MAX_BACKLOG events are open. Those before in the order may be stored.
            StoreUnavailable: they are not known to be on disk.
        """
        stored: list[Stored] = []
        for batch in _batches(entries):
            outcomes = self._script.run(self._store, [entry.envelope for entry in batch], SOURCE)
            if BACKLOG_FULL in outcomes:
                raise StoreFull("MAX_BACKLOG events are open: let the workers run, then reconcile again")
            stored += map(_stored, outcomes)
        self._wait_for_disk()
        return stored

    def run_committed(self, event_id: str) -> None:
        self._decisions.replay_committed(event_id)

    def _wait_for_disk(self) -> None:
        """
        Raises:
            StoreUnavailable: the writes are not on as many disks as DURABILITY asks for.
        """
        if not self._is_durable:
            return
        own, replicas = self._store.waitaof(1, self._replicas, FSYNC_MS)
        if own < 1 or replicas < self._replicas:
            raise StoreUnavailable("the store has not confirmed that the events are on disk: run it again")


def _stored(outcome: int | bytes) -> Stored:
    if isinstance(outcome, int):
        return Stored.NEW if outcome else Stored.DUPLICATE
    return Stored.DUPLICATE if known_type(outcome) is not None else Stored.REFUSED


def _batches(entries: Sequence[LogEntry]) -> list[list[LogEntry]]:
    """Splits events into batches: a script blocks the store while it runs, and a body may be large."""
    batches: list[list[LogEntry]] = []
    size = 0
    for entry in entries:
        size += len(entry.envelope.body)
        if not batches or len(batches[-1]) == AT_ONCE or size > BATCH_BYTES:
            batches.append([])
            size = len(entry.envelope.body)
        batches[-1].append(entry)
    return batches
