"""The numbers of the failure groups add up to the dead letters at every moment, whatever happens to them.

A model draws steps at random: of workers, operators, RQ's own tools and the sweep. It knows which letters are dead and
how each of them failed.
"""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import TypeVar
from uuid import uuid4

import pytest
import redis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from rq import SimpleWorker
from rq.job import Job
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from surehook.admin.bulk_actions import DISCARD, REPLAY, BulkAction, BulkActions, BulkState
from surehook.admin.bulk_run import BulkRun
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.admin.events import REPLAYABLE, EventFilter, EventLog
from surehook.admin.failure_groups import NOT_GROUPED, FailureGroups
from surehook.shared.job_id import JobId, packed_id
from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import Script, text, texts
from surehook.workers.handlers.registry import Registry
from surehook.workers.maintenance.sweeper import Sweep
from surehook.workers.queue import acks
from surehook.workers.queue.claims import ClaimState
from tests.support.claiming import SingleClaims
from tests.support.models import quick_store, run_model
from tests.support.order_machine import an_attempt

__all__ = ["quick_store"]

KEYS = Keys()
RETENTION = 3600
ERRORS = ("ValueError: row 1", "ValueError: row 2", "OSError: away", "OSError: HTTP 404", "E")
SHOWN = {"ValueError: row 1": "ValueError: row …", "ValueError: row 2": "ValueError: row …"}
HANDLERS = ("a", "b")
STEPS = (
    "accept", "accept", "fan_out", "bury", "bury", "bury", "interrupt", "finish", "replay", "discard", "erase",
    "reopen", "rq_requeue", "rq_delete", "rq_cancel", "stock_worker", "sweep", "forget", "bulk_replay", "bulk_discard",
    "bulk_reopen",
)  # fmt: skip
T = TypeVar("T")


class GroupModel(RuleBasedStateMachine):
    """`dead` has the error, as its group shows it, and the handler of every dead letter."""

    store: redis.Redis

    def __init__(self) -> None:
        super().__init__()
        self.store.flushall()
        self.random = Random(0)  # noqa: S311 - nothing secret
        self.dead: dict[str, tuple[str, str]] = {}
        self.ids: list[str] = []
        self.letters = DeadLetters(self.store, KEYS, retention_seconds=RETENTION, handler_timeout=30)
        self.log = EventLog(self.store, KEYS, handler_timeout=30)
        self.groups = FailureGroups(self.store, KEYS)
        self.claims = SingleClaims(
            self.store, KEYS, EVENTS_QUEUE, "one", retention_seconds=RETENTION, handler_timeout=30
        )

    @rule(step=st.sampled_from(STEPS), number=st.integers(0, 2**32))
    def step(self, step: str, number: int) -> None:
        self.random = Random(number)  # noqa: S311 - nothing secret
        getattr(self, f"_{step}")()

    @invariant()
    def the_numbers_add_up(self) -> None:
        found, letters = self.groups.read(), list(self.letters.matching(Filter()))

        assert sum(group.count for group in found) == len(letters)
        assert {letter.job_id for letter in letters} == set(self.dead)
        counts = Counter(self.dead.values())
        assert {(group.handler, group.error): group.count for group in found} == counts
        for group in found:
            mine = {letter.event_id for letter in letters if letter.group_id == group.group_id}
            assert set(self.groups.event_ids(group.group_id)) == mine
            assert group.sample in mine
            assert group.total >= group.count

    def _draw(self, values: Sequence[T]) -> T:
        return self.random.choice(values)

    def _a_letter(self) -> str:
        return self._draw(sorted(self.dead, key=lambda job_id: (self.ids.index(job_id[:36]), job_id)))

    # Workers

    def _accept(self) -> None:
        event_id = str(uuid4())
        row = (event_id, "user.update", "", "", "", "webhook", b"{}", EVENTS_QUEUE, "30", "", packed_id(event_id))
        assert Script("accept", KEYS).run(self.store, *row) == [1]
        self.ids.append(event_id)

    def _fan_out(self) -> None:
        claim = self.claims.claim()
        if claim and not JobId.parse(claim.job_id).handler and not claim.handler_name:
            self.claims.fan_out(claim, [(name, EVENTS_QUEUE, 30.0) for name in HANDLERS])
        elif claim:
            self.claims.give_back(claim, delay_seconds=0)

    def _bury(self) -> None:
        claim = self.claims.claim()
        if claim is None:
            return
        error, handler = self._draw(ERRORS), claim.handler_name or "a"
        assert self.claims.acknowledge(acks.bury(claim, an_attempt(handler)._replace(error=error), ""))
        self.dead[claim.job_id] = (handler, SHOWN.get(error, error))

    def _interrupt(self) -> None:
        claim = self.claims.claim()
        if claim is None:
            return
        attempt = an_attempt("@", "interrupted")._replace(error="the process died")
        if self.claims.interrupt(claim.key, attempt, state=ClaimState.STARTED, counts=True) == "buried":
            self.dead[claim.job_id] = (claim.handler_name, "the process died")

    def _finish(self) -> None:
        claim = self.claims.claim()
        if claim is not None:
            assert self.claims.finish(claim, "done", an_attempt("a"))

    # Operators

    def _replay(self) -> None:
        if self.dead:
            job_id = self._a_letter()
            assert self.letters.replay_job(job_id) == 1
            assert self.letters.replay_job(job_id) == 0
            del self.dead[job_id]

    def _discard(self) -> None:
        if self.dead:
            job_id = self._a_letter()
            assert Script("discard", KEYS).run(self.store, EVENTS_QUEUE, job_id, RETENTION) == 1
            del self.dead[job_id]

    def _erase(self) -> None:
        if self.ids:
            event_id = self._draw(self.ids)
            Script("erase", KEYS).run(self.store, event_id, "", RETENTION)
            self.dead = {job_id: how for job_id, how in self.dead.items() if JobId.parse(job_id).event_id != event_id}

    def _reopen(self) -> None:
        if self.ids:
            self.log.replay(self._draw(self.ids))

    def _bulk(self, verb: str, wanted: Filter | EventFilter) -> BulkAction:
        actions = BulkActions(self.store, KEYS, self.letters, self.log)
        plan = actions.plan(verb, wanted, who="ann", reason="a test")
        return BulkRun(actions, actions.start(plan.action_id, who="ann")).run()

    def _bulk_replay(self) -> None:
        handler = self._draw(HANDLERS)
        mine = {job_id for job_id, (owner, _) in self.dead.items() if owner == handler}
        assert self._bulk(REPLAY, Filter(handler=handler)).done == len(mine)
        self.dead = {job_id: how for job_id, how in self.dead.items() if job_id not in mine}

    def _bulk_discard(self) -> None:
        groups = [group for group in self.groups.read() if group.group_id != NOT_GROUPED]
        if groups:
            group = self._draw(groups)
            assert self._bulk(DISCARD, Filter(group_id=group.group_id)).done == group.count
            self.dead = {job_id: how for job_id, how in self.dead.items() if how != (group.handler, group.error)}

    def _bulk_reopen(self) -> None:
        assert self._bulk(REPLAY, EventFilter(states=REPLAYABLE)).state is BulkState.DONE

    # RQ's own tools

    def _job(self) -> Job:
        return Job.fetch(self._a_letter(), connection=self.store, serializer=JSONSerializer)

    def _rq_requeue(self) -> None:
        if self.dead:
            job = self._job()
            FailedJobRegistry(EVENTS_QUEUE, connection=self.store, serializer=JSONSerializer).requeue(job)
            del self.dead[job.id]

    def _rq_delete(self) -> None:
        if self.dead:
            job = self._job()
            job.delete()
            del self.dead[job.id]  # the sweep queues it again

    def _rq_cancel(self) -> None:
        if queued := texts(self.store.lrange(KEYS.rq_queue(EVENTS_QUEUE), 0, -1)):
            job_id = self._draw(queued)
            if Job.exists(job_id, connection=self.store):
                Job.fetch(job_id, connection=self.store, serializer=JSONSerializer).cancel()
                self._sweep()
                owner = text(self.store.hget(KEYS.event(job_id[:36]), "handler"))
                if self.store.zscore(KEYS.rq_failed(EVENTS_QUEUE), job_id) is not None:
                    handler = JobId.parse(job_id).handler or owner
                    self.dead[job_id] = (handler, "cancelled with RQ's tools: replay it to run it, or discard it")

    def _stock_worker(self) -> None:
        SimpleWorker([EVENTS_QUEUE], connection=self.store, serializer=JSONSerializer).work(
            burst=True, max_jobs=1, logging_level="CRITICAL"
        )
        self._sweep()  # gives it back

    def _sweep(self) -> None:
        self.store.delete(KEYS.sweep_lock)
        Sweep(self.store, KEYS, Registry(()), handler_timeout=30).run()

    def _forget(self) -> None:
        Script("forget_groups", KEYS).run(self.store, 0, 1000)


def test_the_numbers_of_groups_add_up(quick_store: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GroupModel, "store", quick_store, raising=False)

    run_model(GroupModel, examples=3)
