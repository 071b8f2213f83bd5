"""The protocol of transactions against its model: every step, by anybody, in any order, with crashes and clock jumps.

`HYPOTHESIS_EXAMPLES=3000 pytest tests/integration/test_transaction_protocol.py` for a long run.
"""

import os
from collections.abc import Iterator
from random import Random

import pytest
import redis
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from shared.keys import TRANSACTIONAL_QUEUE
from shared.replies import texts
from tests.support.ledger import ledger
from tests.support.transaction_machine import (
    EVENTS,
    FACT_PARTS,
    JUMPS,
    MOST_WAITING,
    OFTEN,
    PROCESSES,
    RARELY,
    UNDO,
    UNDO_PARTS,
    UNIT,
    WEIGHTS,
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


class Transactional(Stage):
    """Everything that anybody can do, or fail to do."""

    @initialize()
    def everybody_lives(self) -> None:
        for worker in WORKERS:
            self.beat(worker)

    @rule(seed=st.integers(0, 2**32))
    def step(self, seed: int) -> None:
        """Anybody does anything that can be done."""
        self.steps += 1
        self.random = Random(f"{seed} {self.steps}")  # noqa: S311 - nothing secret
        can = {
            "submit": len(self.waiting) < MOST_WAITING,
            "claim": bool(self.store.llen(f"rq:queue:{TRANSACTIONAL_QUEUE}") or self.lost),
            "settle": bool(self.holders()),
            "confirm": bool(self.told()),
            "abandon": bool(self.waiting),
            "jobs_run": any(model.parts for model in self.models),
            "a_person_looks": any(model.decision in NO for model in self.models),
        }
        name = self.draw([name for name, weight in WEIGHTS.items() if can.get(name, True) for _ in range(weight)])
        note(f"{name}:")
        getattr(self, f"_{name}")()

    # Senders

    def _submit(self) -> None:
        event, process = self.draw((*EVENTS, EVENTS[0])), self.draw(PROCESSES)
        reply = self.protocol.submit(self.ids[event], process)

        expected = self.models[event].submit(reply.round, process, self.now, is_attended=self.is_attended())
        assert reply.state == expected
        if reply.state in ("waiting", "settled"):
            self.waiting.append(Request(event, reply.round, process, self.now, is_told=reply.state == "settled"))
        elif reply.state != "unattended":
            self.answer(event, reply.state)

    def _confirm(self) -> None:
        request, is_lost = self.draw(self.told()), self.draw(OFTEN)
        self.waiting.remove(request)

        state, _ = self.protocol.confirm(self.ids[request.event], request.round)

        assert state == self.models[request.event].confirm(request.round, self.now)
        if not is_lost:  # else its process answers that it does not know, which is no decision
            self.answer(request.event, state)

    def _abandon(self) -> None:
        request, is_gone = self.draw(self.waiting), self.draw(OFTEN)
        self.waiting.remove(request)

        state, _ = self.protocol.abandon(self.ids[request.event], request.round, is_gone=is_gone)

        assert state == self.models[request.event].abandon(request.round, self.now, is_gone=is_gone)
        if not is_gone:
            self.answer(request.event, state)

    def _door_dies(self) -> None:
        process = self.draw(PROCESSES)
        self.waiting = [request for request in self.waiting if request.process != process]

    # Workers

    def _claim(self) -> None:
        worker, is_waiting, is_lost = self.draw(WORKERS), self.draw(OFTEN), self.draw(RARELY)
        name = self.name(worker)
        if worker in self.holders():
            return
        queued = texts(self.store.lrange(f"rq:queue:{TRANSACTIONAL_QUEUE}", 0, -1))

        transaction = self.room(worker).wait(0.001) if is_waiting else self.room(worker).claim()

        self.expect_start(name, queued, transaction)
        self.held[name] = transaction
        self.lost.discard(name)
        if is_lost and transaction:
            self.lost.add(name)

    def _settle(self) -> None:
        worker, times = self.draw(self.holders()), self.draw((1, 2))
        outcome, is_unknown = self.draw(("completed", "completed", "rejected", "failed")), self.draw(OFTEN)
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

    def _worker_dies(self) -> None:
        if self.draw(OFTEN):
            self.protocol.take_ring()  # in its hands
        self.generations[self.draw(WORKERS)] += 1

    # Time, upkeep, people

    def _time_jumps(self) -> None:
        self.jump(self.draw(JUMPS))
        if not self.draw(RARELY):
            self.everybody_lives()

    def jump(self, units: int) -> None:
        jump(self.store, units * UNIT)
        self.now += units * UNIT
        self.beats = {name: at for name, at in self.beats.items() if self.now <= at + WINDOWS.beat}
        for model in self.models:
            model.forget(self.now)
        if units < 0:  # a beat of the future says nothing; whoever lives beats again within a second
            self.store.delete(*self.store.keys(f"{KEYS.prefix}:alive:*") or [""])
            self.beats = {}
            self.everybody_lives()

    def _recover(self) -> None:
        if self.draw(RARELY):
            self.store.script_flush()
        self.recover(at_the_door=self.draw(OFTEN))

    def recover(self, *, at_the_door: bool) -> None:
        assert self.queued_again() == []  # no transaction is ever queued a second time
        if at_the_door:
            self.protocol.recover()
            self.expect_recovery()
        else:
            self.room(WORKERS[0]).recover(self.bench.registry, 30)
            self.expect_recovery()
            for model in self.looked_at():
                if model.round and model.round.worker not in self.beats:
                    model.bury(self.now, [UNDO])
        self.note_looks()

    def _jobs_run(self) -> None:
        claims = self.clerk()
        while claim := claims.claim():
            assert claims.finish(claim, "done", None)
        for model in self.models:
            model.parts, model.is_closed = [], model.is_closed or bool(model.parts) or model.is_fact

    def _a_person_looks(self) -> None:
        self.look(self.draw(EVENTS), as_fact=self.draw(OFTEN))

    def look(self, event: int, *, as_fact: bool) -> None:
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
        self.close_rooms()
        for worker in WORKERS:
            self.generations[worker] += 1
        self.everybody_lives()
        for _ in range(4):
            self.jump(25)
            self.everybody_lives()
            self.recover(at_the_door=False)
        while self.waiting:
            request = self.waiting.pop()
            state, _ = self.protocol.abandon(self.ids[request.event], request.round)
            assert state in (*NO, "completed")
        self._jobs_run()
        for event in EVENTS:
            self.look(event, as_fact=False)
        assert ledger(self.store)["open"] == 0
        jump(self.store, (WINDOWS.retention + 100) * 1000)
        left = {key.decode() for key in self.store.scan_iter()}
        assert left <= {KEYS.ledger, KEYS.queues, KEYS.split, "rq:queues", "rq:finished:events"}
        assert int(self.store.get(KEYS.split) or 0) == 0


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
        stateful_step_count=50,
        deadline=None,
        phases=[Phase.generate],  # a shorter run would draw other steps
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    run_state_machine_as_test(Transactional, settings=profile)
