"""Finds open events: in the open set, or in the registries of the states that few events are in."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import redis

from surehook.admin.event_records import EventFilter, milliseconds_of
from surehook.admin.failure_groups import FailureGroups
from surehook.admin.newest import Batch, Candidate
from surehook.shared.encryption import BodyCipher
from surehook.shared.envelope import parse_event
from surehook.shared.errors import BodyDamaged, KeyMissing, MalformedBody
from surehook.shared.event_index import email_in
from surehook.shared.job_id import JobId
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script, text, texts

AT_ONCE = 1000
BODIES_AT_ONCE = 100
REGISTERED = {"running", "scheduled", "deferred", "dead"}


class OpenEvents:
    """Reads the open set and RQ's registries."""

    def __init__(self, store: redis.Redis, keys: Keys, cipher: BodyCipher) -> None:
        self._store = store
        self._keys = keys
        self._cipher = cipher
        self._groups = FailureGroups(store, keys)
        self._walk, self._received_at = Script("open_events", keys), Script("received_at", keys)
        self._count = Script("count_open", keys)

    def batches(self, wanted: EventFilter, until_ms: float | None) -> Iterator[Batch]:
        """Candidates for a filter. Only type, user, tenant, application and the instants are compared yet."""
        if wanted.group_id is not None:
            yield list(self._received(self._groups.event_ids(wanted.group_id))), 0
            return
        if wanted.states and set(wanted.open_states) <= REGISTERED:
            yield list(self._registered(wanted.open_states)), 0
            return
        since_ms = milliseconds_of(wanted.since) if wanted.since else 0
        values = (wanted.event_type, wanted.user_id, wanted.tenant_id, wanted.application_id)
        if "" in values:
            return
        instants = (since_ms, "" if until_ms is None else until_ms)
        at = "+inf"
        while at:
            reply: Any = self._walk.run(self._store, at, AT_ONCE, *(value or "" for value in values), *instants)
            at, bound = text(reply[0]), text(reply[1])
            found = iter(reply[2])
            yield (
                [Candidate(int(ms), text(event_id)) for event_id, ms in zip(found, found, strict=True)],
                float(bound or "inf"),
            )
            if bound and float(bound) < since_ms:
                return

    def count(self, wanted: EventFilter, until_ms: float | None, event_ids: list[str]) -> int:
        """How many of some events match, except for their addresses and groups, which are not compared."""
        values = (wanted.event_type, wanted.user_id, wanted.tenant_id, wanted.application_id)
        if "" in values or wanted.handler == "":
            return 0
        since_ms = milliseconds_of(wanted.since) if wanted.since else 0
        instants = (since_ms, "" if until_ms is None else until_ms)
        states = ",".join(wanted.open_states) if wanted.states else ""
        words = (*(value or "" for value in values), *instants, wanted.handler or "", states)
        return int(self._count.run(self._store, *words, *event_ids))

    def beginning_with(self, some_id: str) -> list[str]:
        """The ids of open events that begin so."""
        found: dict[str, None] = {}
        cursor = 0
        while True:
            reply: Any = self._store.zscan(self._keys.open, cursor, match=f"{some_id}*", count=10 * AT_ONCE)
            cursor, members = reply
            found |= dict.fromkeys(text(member) for member, _ in members)
            if not cursor:
                return list(found)

    def with_email(self, event_ids: list[str], is_wanted: Callable[[str], bool]) -> set[str]:
        """Returns the events whose user has a wanted address, as far as bodies can be read."""
        found = set()
        for start in range(0, len(event_ids), BODIES_AT_ONCE):
            portion = event_ids[start : start + BODIES_AT_ONCE]
            pipeline = self._store.pipeline(transaction=False)
            for event_id in portion:
                pipeline.hmget(self._keys.event(event_id), "body", "key_id")
            for event_id, (body, key_id) in zip(portion, pipeline.execute(), strict=True):
                if is_wanted(self._email_of(body, text(key_id))):
                    found.add(event_id)
        return found

    def _email_of(self, body: bytes | None, key_id: str) -> str:
        try:
            return email_in(parse_event(self._cipher.decrypt(body or b"", key_id)))
        except (KeyMissing, BodyDamaged, MalformedBody):
            return ""

    def _registered(self, states: tuple[str, ...]) -> Iterator[Candidate]:
        registries = {
            "running": self._keys.leases,
            "scheduled": self._keys.rq_scheduled,
            "deferred": self._keys.rq_deferred,
            "dead": self._keys.rq_failed,
        }
        queues = texts(self._store.smembers(self._keys.queues))
        keys = [registries[state](queue) for state in states for queue in queues]
        event_ids: dict[str, None] = {}
        for key in keys:
            members = texts(self._store.zrange(key, 0, -1))
            event_ids |= dict.fromkeys(JobId.parse(member.partition(":")[0]).event_id for member in members)
        return self._received(event_ids)

    def _received(self, event_ids: Iterable[str]) -> Iterator[Candidate]:
        ids = list(event_ids)
        for start in range(0, len(ids), AT_ONCE):
            portion = ids[start : start + AT_ONCE]
            for event_id, received_at in zip(portion, self._received_at.run(self._store, *portion), strict=True):
                if received_at:  # else another application's job
                    yield Candidate(int(received_at), event_id)
