"""The protocol of transactions against its model: every step, by anybody, in any order, with crashes and clock jumps.

`HYPOTHESIS_EXAMPLES=3000 pytest tests/integration/test_transaction_protocol.py` for a long run.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from shared.keys import TRANSACTIONAL_QUEUE
from shared.replies import texts
from tests.support.ledger import ledger
from tests.support.transaction_machine import (
    EVENTS,
    FACT_PARTS,
    PROCESSES,
    UNDO,
    UNDO_PARTS,
    UNIT,
    WINDOWS,
    WORKERS,
    Bench,
    Request,
    Stage,
)
from tests.support.transaction_model import NO
from tests.support.transactions import KEYS, jump
from workers.registry import Registry, declared, on
from workers.transactions import Verdict

MOST_WAITING = 3
RARELY = st.sampled_from([False, False, False, True])


class Transactional(Stage):
    """Everything that anybody can do, or fail to do."""

    @initialize()
    def everybody_lives(self) -> None:
        for worker in WORKERS:
            self.beat(worker)

    # Senders

    @precondition(lambda self: len(self.waiting) < MOST_WAITING)
    @rule(event=st.sampled_from((*EVENTS, EVENTS[0])), process=st.sampled_from(PROCESSES))
    def submit(self, event: int, process: str) -> None:
        reply = self.protocol.submit(self.ids[event], process)

        expected = self.models[event].submit(reply.round, process, self.now, is_attended=self.is_attended())
        assert reply.state == expected
        if reply.state in ("waiting", "settled"):
            self.waiting.append(Request(event, reply.round, process, self.now, is_told=reply.state == "settled"))
        elif reply.state != "unattended":
            self.answer(event, reply.state)

    @precondition(lambda self: self.told())
    @rule(data=st.data(), is_lost=st.booleans())
    def confirm(self, data: Any, is_lost: bool) -> None:
        request = data.draw(st.sampled_from(self.told()))
        self.waiting.remove(request)

        state, _ = self.protocol.confirm(self.ids[request.event], request.round)

        assert state == self.models[request.event].confirm(request.round, self.now)
        if not is_lost:  # else its process answers that it does not know, which is no decision
            self.answer(request.event, state)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), is_gone=st.booleans())
    def abandon(self, data: Any, is_gone: bool) -> None:
        request = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(request)

        state, _ = self.protocol.abandon(self.ids[request.event], request.round, is_gone=is_gone)

        assert state == self.models[request.event].abandon(request.round, self.now, is_gone=is_gone)
        if not is_gone:
            self.answer(request.event, state)

    @rule(process=st.sampled_from(PROCESSES))
    def door_dies(self, process: str) -> None:
        self.waiting = [request for request in self.waiting if request.process != process]

    # Workers

    @precondition(lambda self: self.store.llen(f"rq:queue:{TRANSACTIONAL_QUEUE}") or self.lost)
    @rule(worker=st.sampled_from(WORKERS), by_hand=st.booleans(), is_lost=RARELY)
    def claim(self, worker: str, by_hand: bool, is_lost: bool) -> None:
        name = self.name(worker)
        if self.held.get(name) and name not in self.lost:
            return
        queued = texts(self.store.lrange(f"rq:queue:{TRANSACTIONAL_QUEUE}", 0, -1))
        given = self.protocol.pop() if by_hand else ""

        transaction = self.room(worker).claim(given)

        self.expect_start(name, given, queued, transaction)
        self.held[name] = transaction
        self.lost.discard(name)
        if is_lost and transaction:
            self.lost.add(name)

    @precondition(lambda self: self.holders())
    @rule(
        worker=st.sampled_from(WORKERS),
        outcome=st.sampled_from(["completed", "completed", "rejected", "failed"]),
        is_unknown=st.booleans(),
        times=st.integers(1, 2),
    )
    def settle(self, worker: str, outcome: str, is_unknown: bool, times: int) -> None:
        worker = worker if worker in self.holders() else self.holders()[0]
        name = self.name(worker)
        held = self.held[name]
        assert held
        is_unknown = is_unknown and outcome != "completed"
        for _ in range(times):  # the reply to the first may have been lost
            stands = self.room(worker).settle(held, Verdict(outcome, "words", is_unknown, UNDO_PARTS, FACT_PARTS))
            assert stands == self.models[self.ids.index(held.event_id)].settle(
                held.round, name, outcome, self.now, is_unknown=is_unknown, undo=[UNDO]
            )
        self.held[name] = None

    @rule(worker=st.sampled_from(WORKERS), has_popped=st.booleans())
    def worker_dies(self, worker: str, has_popped: bool) -> None:
        if has_popped:
            self.protocol.pop()
        self.generations[worker] += 1

    def beat(self, worker: str) -> None:
        self.protocol.beat(self.name(worker))
        self.beats[self.name(worker)] = self.now

    # Time, upkeep, people

    @rule(units=st.sampled_from([1, 2, 5, 11, 12, 25, 50, -1, -5]), all_live=st.booleans())
    def time_jumps(self, units: int, all_live: bool) -> None:
        jump(self.store, units * UNIT)
        self.now += units * UNIT
        self.beats = {name: at for name, at in self.beats.items() if self.now <= at + WINDOWS.beat}
        for model in self.models:
            model.forget(self.now)
        if all_live:
            self.everybody_lives()

    @rule(at_the_door=st.booleans(), is_script_gone=st.booleans())
    def recover(self, at_the_door: bool, is_script_gone: bool) -> None:
        if is_script_gone:
            self.store.script_flush()
        assert self.queued_again() == []  # no transaction is ever queued a second time
        if at_the_door:
            self.protocol.recover()
            self.expect_recovery()
            return
        self.room(WORKERS[0]).recover(self.bench.registry, 30)
        self.expect_recovery()
        for model in self.models:
            if model.round and model.round.worker and model.round.worker not in self.beats:
                model.bury(self.now, [UNDO])

    @precondition(lambda self: any(model.parts for model in self.models))
    @rule()
    def jobs_run(self) -> None:
        claims = self.clerk()
        while claim := claims.claim():
            assert claims.finish(claim, "done", None)
        for model in self.models:
            model.parts, model.is_closed = [], model.is_closed or bool(model.parts) or model.is_fact

    @precondition(lambda self: self.has_no())
    @rule(event=st.sampled_from(EVENTS), as_fact=st.booleans())
    def a_person_looks(self, event: int, as_fact: bool) -> None:
        model = self.models[event]
        assert self.protocol.resolve(self.ids[event]) == model.is_orphan
        model.is_orphan = False
        may = model.decision in NO and model.is_closed
        if as_fact:
            assert self.protocol.as_fact(self.ids[event]) == may
        if as_fact and may:
            model.is_fact, model.is_closed, model.parts = True, False, [""]

    def teardown(self) -> None:
        """Whatever has happened: time passes, and everybody has an answer and nothing is left behind."""
        for worker in WORKERS:
            self.worker_dies(worker, has_popped=False)
        self.everybody_lives()
        for _ in range(4):
            self.time_jumps(25, all_live=True)
            self.recover(at_the_door=False, is_script_gone=False)
        while self.waiting:
            request = self.waiting.pop()
            state, _ = self.protocol.abandon(self.ids[request.event], request.round)
            assert state in (*NO, "completed")
        self.jobs_run()
        for event in EVENTS:
            self.a_person_looks(event, as_fact=False)
        assert ledger(self.store)["open"] == 0
        jump(self.store, (WINDOWS.retention + 100) * 1000)
        left = {key.decode() for key in self.store.scan_iter()}
        assert left <= {KEYS.ledger, "rq:queues", "rq:finished:events"}


@pytest.fixture
def registry() -> Registry:
    on("user.create", name="voter", transactional=True, on_abandoned=lambda event: None)(lambda event: None)
    return Registry(declared)


@pytest.fixture
def quick_store(store: redis.Redis) -> Iterator[redis.Redis]:
    """No fsync for each of thousands of steps: what is on disk is not what this is about."""
    store.config_set("appendonly", "no")
    yield store
    store.flushall()
    store.config_set("appendonly", "yes")


def test_whatever_happens_in_whatever_order_both_sides_agree(quick_store: redis.Redis, registry: Registry) -> None:
    Transactional.bench = Bench(quick_store, registry)
    profile = settings(
        max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "15")),
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )

    run_state_machine_as_test(Transactional, settings=profile)
