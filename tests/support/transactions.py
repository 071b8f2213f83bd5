"""Runs the transaction scripts step by step, on a store whose clock a test can move."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any
from uuid import uuid4

import redis

from surehook.shared.job_id import JobId, packed_id
from surehook.shared.keys import TRANSACTIONAL_QUEUE, Keys
from surehook.shared.scripts import Script, text, texts

KEYS = Keys()
INSTANTS = ("deadline", "decided_at", "received_at", "closed_at")
SCRIPTS = (
    "txn_submit", "txn_confirm", "txn_abandon", "txn_recover", "txn_resolve", "txn_committed",
    "heartbeat", "deregister",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Windows:
    """Every duration of the protocol, in ms (the retention in s)."""

    budget: int
    memory: int
    confirm: int
    retention: int
    beat: int
    dead: int


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply of `txn_submit` to an ingest process."""

    state: str
    round: str
    left_ms: int
    reason: str


def _reply(state: Any, number: Any, left: Any, reason: Any, _: Any) -> Reply:
    return Reply(text(state), text(number), int(left), text(reason))


class Protocol:
    """The scripts of the ingest side, one round trip for each call."""

    def __init__(self, store: redis.Redis, windows: Windows) -> None:
        self.store = store
        self.windows = windows
        self._scripts = {name: Script(name, KEYS) for name in SCRIPTS}

    def submit(
        self, event_id: str, process: str, event_type: str = "user.create", max_backlog: int | None = None
    ) -> Reply:
        (reply,) = self.submit_many([event_id], process, event_type, max_backlog)
        assert isinstance(reply, Reply)
        return reply

    def submit_many(
        self,
        event_ids: Sequence[str],
        process: str,
        event_type: str = "user.create",
        max_backlog: int | None = None,
        body: bytes = b'{"event":{}}',
    ) -> list[Reply | str]:
        """Submits events in one call. The reply to one whose own keys are of another type is a text."""
        windows = self.windows
        common = (
            "30", process, windows.memory, windows.confirm, windows.retention, windows.beat, "webhook",
            "" if max_backlog is None else max_backlog,
        )  # fmt: skip
        items = ((event_id, event_type, "", "", "", body, "", uuid4().hex, windows.budget) for event_id in event_ids)
        replies = self._run("txn_submit", *common, *chain.from_iterable(items))
        return [text(each) if isinstance(each, bytes) else _reply(*each) for each in replies]

    def confirm(self, event_id: str, number: str) -> tuple[str, str]:
        (reply,) = self.confirm_many([(event_id, number)])
        state, reason = reply
        return text(state), text(reason)

    def confirm_many(self, rounds: Sequence[tuple[str, str]]) -> list[Any]:
        replies: list[Any] = self._run("txn_confirm", *chain.from_iterable(rounds))
        return replies

    def abandon(self, event_id: str, number: str, *, is_gone: bool = False) -> tuple[str, str]:
        state, reason = self._run("txn_abandon", event_id, number, int(is_gone))
        return text(state), text(reason)

    def recover(self) -> int:
        """Recovers as an ingest process does, which has no handlers."""
        return int(self._run("txn_recover", self.windows.dead, 100)[0])

    def resolve(self, event_id: str) -> bool:
        return bool(self._run("txn_resolve", event_id, self.windows.retention))

    def replay_committed(self, event_id: str) -> bool:
        return bool(self._run("txn_committed", event_id, "events", "30"))

    def beat(self, process: str, types: str = "user.create") -> list[str]:
        return texts(self._run("heartbeat", "worker", process, TRANSACTIONAL_QUEUE, types, self.windows.beat, "ingest"))

    def leave(self, process: str) -> None:
        self._run("deregister", "worker", process, TRANSACTIONAL_QUEUE)

    def consume_wake_up(self) -> None:
        """Consumes the wake-up, as a worker does that dies before it claims."""
        self.store.lpop(KEYS.wake_up)

    def notifications(self, process: str) -> list[tuple[str, str, str]]:
        """Returns event, round and state of every notification of a process since the last call."""
        lines: Any = self.store.lpop(KEYS.replies(process), 1000)
        return notifications(lines or [])

    def _run(self, name: str, *args: Any) -> Any:
        return self._scripts[name].run(self.store, *args)


def jump(store: redis.Redis, forward_ms: int) -> None:
    """Moves the store's clock, by moving every instant it has stored the other way."""
    keys: Any = store.keys()
    with store.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.type(key)
            pipeline.pttl(key)
        replies = pipeline.execute()
    known = list(zip(keys, replies[::2], replies[1::2], strict=True))
    hashes = [key for key, kind, _ in known if kind == b"hash"]
    sets = [key for key, kind, _ in known if kind == b"zset" and not key.startswith(b"rq:")]
    with store.pipeline(transaction=False) as pipeline:
        for key in hashes:
            pipeline.hmget(key, INSTANTS)
        for key in sets:
            pipeline.zrange(key, 0, -1, withscores=True)
        values = pipeline.execute()
    with store.pipeline(transaction=False) as pipeline:
        for key, found in zip(hashes, values, strict=False):
            for name, value in zip(INSTANTS, found, strict=True):
                if value is not None:
                    pipeline.hset(key, name, int(float(value)) - forward_ms)
        for key, members in zip(sets, values[len(hashes) :], strict=True):
            pipeline.zadd(key, {member: score - forward_ms for member, score in members})
        for key, _, left in known:
            if left >= 0:
                pipeline.pexpire(key, max(1, left - forward_ms)) if left > forward_ms else pipeline.delete(key)
        pipeline.execute()


def jobs_of(store: redis.Redis, event_id: str, queue: str = "events") -> Sequence[str]:
    """Returns the handlers with a waiting job of this event."""
    return by_event(texts(store.lrange(Keys().rq_queue(queue), 0, -1)), event_id)


def by_event(job_ids: Sequence[str], event_id: str) -> Sequence[str]:
    """Returns the handlers of this event's jobs."""
    return sorted(JobId.parse(job_id).handler for job_id in job_ids if JobId.parse(job_id).event_id == event_id)


def check_known_ids(store: redis.Redis, event_ids: Sequence[str]) -> None:
    """Checks that all events are closed and known, except refused ones, which may be submitted again."""
    assert store.zcard(KEYS.open) == 0
    for event_id in event_ids:
        decision, committed, outcome = store.hmget(KEYS.event(event_id), "decision", "committed", "outcome")
        is_known = store.hexists(KEYS.known_ids(event_id[-4:]), packed_id(event_id))
        is_final = decision == b"completed" or committed is not None
        # Nothing says of an erased event whether it was committed.
        assert is_known == is_final or (is_known and outcome == b"erased"), (event_id, decision)


def notifications(lines: Sequence[bytes]) -> list[tuple[str, str, str]]:
    """Returns event, round and state of each line."""
    return [(event_id, number, state) for event_id, number, state, _ in (text(line).split(" ", 3) for line in lines)]
