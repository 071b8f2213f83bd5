"""The transaction protocol against its model: every step, by any party, in any order, with crashes and clock jumps.

`HYPOTHESIS_EXAMPLES=3000 pytest tests/integration/test_transaction_protocol.py` for a long run."""

from random import Random

import pytest
import redis
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from surehook.shared.scripts import text
from surehook.workers.handlers.registry import Registry, declared, on
from tests.support.ledger import ledger
from tests.support.models import quick_store, run_model
from tests.support.transaction_invariants import Invariants
from tests.support.transaction_machine import (
    EVENTS,
    JUMPS,
    MOST_WAITING,
    OFTEN,
    PROCESSES,
    RARELY,
    UNDO,
    UNIT,
    WEIGHTS,
    WINDOWS,
    WORKERS,
    Environment,
    Request,
)
from tests.support.transaction_people import PeopleSteps
from tests.support.transaction_round import REFUSALS
from tests.support.transaction_workers import WorkerSteps
from tests.support.transactions import KEYS, Reply, check_known_ids, jump

__all__ = ["quick_store"]  # a fixture of tests.support

EARLY = 10  # until then nothing is erased or held, for most of it must lead somewhere


class Transactional(WorkerSteps, PeopleSteps, Invariants):
    """Every step that any party can take, or fail to take."""

    @initialize()
    def everybody_lives(self) -> None:
        for worker in WORKERS:
            self.beat(worker)

    @rule(seed=st.integers(0, 2**32))
    def step(self, seed: int) -> None:
        """Take any step that is possible."""
        self.steps += 1
        self.random = Random(f"{seed} {self.steps}")  # noqa: S311 - nothing secret
        can = {
            "submit": len(self.waiting) < MOST_WAITING,
            "submit_together": len(self.waiting) < MOST_WAITING - 1,
            "claim": bool(self.idle() and (self.queued() or self.lost)),
            "settle": bool(self.running),
            "give_back": bool(self.without_outcome()),
            "machine_sleeps": bool(self.running),
            "sleeps_through_a_second_asking": bool(self.running) and len(self.waiting) < MOST_WAITING,
            "handler_acts": bool(self.without_outcome()),
            "worker_dies": bool(self.running),
            "late_command": bool(self.calls),
            "erase": self.steps > EARLY,
            "pause": self.is_paused or self.steps > EARLY,
            "confirm": bool(self.decided()),
            "abandon": bool(self.waiting),
            "jobs_run": any(model.jobs for model in self.models),
            "operator_resolves": any(model.decision in REFUSALS for model in self.models),
        }
        name = self.draw([name for name, weight in WEIGHTS.items() if can.get(name, True) for _ in range(weight)])
        note(f"{name}:")
        getattr(self, f"_{name}")()

    # Senders

    def _submit(self) -> None:
        self.submit(self.draw((*EVENTS, EVENTS[0])))

    def _submit_together(self) -> None:
        """In one call; perhaps two copies of one event."""
        self.submit(self.draw(EVENTS), self.draw(EVENTS))

    def submit(self, *events: int) -> None:
        process = self.draw(PROCESSES)
        replies = self.protocol.submit_many([self.ids[event] for event in events], process)
        for event, reply in zip(events, replies, strict=True):
            assert isinstance(reply, Reply)
            self.submitted(event, process, reply)

    def submitted(self, event: int, process: str, reply: Reply) -> None:
        expected = self.models[event].submit(reply.round, process, self.now, unavailable=self.unavailable())
        assert reply.state == expected
        if reply.state in ("waiting", "unconfirmed"):
            self.waiting.append(Request(event, reply.round, process, self.now, is_decided=reply.state == "unconfirmed"))
        elif reply.state not in ("no_worker", "paused"):
            self.answer(event, reply.state)
        if reply.state == "waiting":
            self.witness.asked(event, reply.round)

    def _confirm(self) -> None:
        request, is_lost = self.draw(self.decided()), self.draw(OFTEN)
        self.waiting.remove(request)
        is_asked = self.is_asked(request)

        state, _ = self.protocol.confirm(self.ids[request.event], request.round)

        assert state == self.models[request.event].confirm(request.round, self.now)
        self.witness.confirmed |= {request.round} if is_asked and state == "completed" else set()
        if not is_lost:  # else its process answers that it does not know, which is no decision
            self.answer(request.event, state)

    def _abandon(self) -> None:
        request, is_gone = self.draw(self.waiting), self.draw(OFTEN)
        self.waiting.remove(request)
        is_asked = self.is_asked(request)

        state, _ = self.protocol.abandon(self.ids[request.event], request.round, is_gone=is_gone)

        assert state == self.models[request.event].abandon(request.round, self.now, is_gone=is_gone)
        self.witness.confirmed |= {request.round} if is_asked and state == "completed" else set()
        if not is_gone:
            self.answer(request.event, state)

    def is_asked(self, request: Request) -> bool:
        return text(self.store.hget(KEYS.transaction(self.ids[request.event]), "round")) == request.round

    def _ingest_dies(self) -> None:
        process = self.draw(PROCESSES)
        self.waiting = [request for request in self.waiting if request.process != process]

    # Time, heartbeat, people

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
        if units < 0:  # a heartbeat from the future counts for nothing; a live worker sends another within a second
            self.store.delete(*self.store.keys(f"{KEYS.prefix}:alive:*") or [""])
            self.beats = {}
            self.everybody_lives()

    def _machine_sleeps(self) -> None:
        self.sleep(self.draw(list(self.running)))

    def _sleeps_through_a_second_asking(self) -> None:
        """Its worker's run is undone and forgotten, and then the event is sent again."""
        name = self.draw(list(self.running))
        event = self.ids.index(self.running[name].event_id)
        self.sleep(name)
        self.the_store_agrees_with_the_model()
        self._jobs_run()
        self.jump(25)
        self.everybody_lives()
        self.submit(event)

    def sleep(self, name: str) -> None:
        """Its worker is presumed dead and its run lost, without its knowledge."""
        worker = name.rpartition("-")[0]
        self.generations[worker] += name == self.name(worker)
        self.jump(35)
        self.everybody_lives()
        self.recover(by_ingest=False)

    def _recover(self) -> None:
        if self.draw(RARELY):
            self.store.script_flush()
        self.recover(by_ingest=self.draw(OFTEN))

    def recover(self, *, by_ingest: bool) -> None:
        if self.draw(RARELY):
            assert self.requeued() == []  # no transaction is ever queued a second time
        if by_ingest:
            self.protocol.recover()
            self.expect_recovery()
        else:
            self.protocol_of(self.name(WORKERS[0])).recover(self.environment.registry, 30)
            self.expect_recovery()
            for model in self.inspected():
                if model.round and model.round.worker not in self.beats:
                    model.presume_dead(self.now, [UNDO])
        self.schedule_inspections()

    def _jobs_run(self) -> None:
        claims = self.job_claims()
        while claim := claims.claim():
            if claim.handler_name == UNDO:
                self.witness.undoes(self.ids.index(claim.event_id))
            assert claims.finish(claim, "done", None)
        for model in self.models:
            model.jobs_ran()

    def teardown(self) -> None:
        """After any history, once time has passed, every client has an answer and nothing is left behind."""
        for name in list(self.running):
            self.die(name)  # a process that was given up ends some day, and its supervisor reports it
        if self.is_paused:
            self._pause()
        for worker in WORKERS:
            self.generations[worker] += 1
        self.everybody_lives()
        for _ in range(4):
            self.jump(25)
            self.everybody_lives()
            self.recover(by_ingest=False)
        while self.waiting:
            request = self.waiting.pop()
            state, _ = self.protocol.abandon(self.ids[request.event], request.round)
            assert state in (*REFUSALS, "completed")
        self._jobs_run()
        listed = {i for i, event_id in enumerate(self.ids) if self.store.zscore(KEYS.orphans, event_id) is not None}
        self.witness.check(ledger(self.store).get("orphaned", 0), listed)
        for event in EVENTS:
            self.resolve(event, committed=False)
        check_known_ids(self.store, self.ids)
        stays = {KEYS.ledger, KEYS.queues, KEYS.extra_jobs, KEYS.index_state, KEYS.index_segments}
        stays |= {"rq:queues", "rq:finished:events"}
        jump(self.store, (WINDOWS.retention + 100) * 1000)
        assert {key for key in self.left() if not key.startswith(f"{KEYS.prefix}:index:")} <= stays
        jump(self.store, (WINDOWS.retention // 24 + 100) * 1000)  # a segment of the index outlives its events by that
        assert self.left() <= stays
        assert int(self.store.get(KEYS.extra_jobs) or 0) == 0

    def left(self) -> set[str]:
        return {key.decode() for key in self.store.scan_iter() if b":known-ids:" not in key}


@pytest.fixture
def registry() -> Registry:
    on("user.create", name="quota", transactional=True, on_abandoned=lambda event: None)(lambda event: None)
    return Registry(declared)


def test_store_and_model_agree_after_any_steps_in_any_order(quick_store: redis.Redis, registry: Registry) -> None:
    Transactional.environment = Environment(quick_store, registry)
    run_model(Transactional, examples=15)
