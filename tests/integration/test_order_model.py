"""The order against a model: every step, by any process, in any order, with crashes, people, and RQ's tools.

`HYPOTHESIS_EXAMPLES=3000 pytest tests/integration/test_order_model.py` for a long run."""

from random import Random

import redis
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import rule

from surehook.workers.claim import Claim
from surehook.workers.queue import acks
from surehook.workers.queue.claims import ClaimState
from tests.support.ledger import is_balanced, ledger
from tests.support.mirror import left
from tests.support.models import quick_store, run_model
from tests.support.order_machine import EVENT_KEYS, KEYS, PROCESSES, QUEUES, RARELY, an_attempt
from tests.support.order_people import OrderOfPeople

__all__ = ["quick_store"]  # a fixture of tests.support

WEIGHTS = {
    "accept": 5, "claim": 12, "route": 6, "settle": 9, "process_dies": 2, "due": 3, "replay": 2, "discard": 1,
    "reopen": 1, "erase": 2, "requeue_out_of_turn": 1, "delete_job": 1, "cancel_job": 1, "sweep": 1,
    "sweep_reads": 2, "sweep_checks": 2,
}  # fmt: skip
MOST_OPEN = 12


class Order(OrderOfPeople):
    """Every step that any party can take; those of workers are here."""

    @rule(seed=st.integers(0, 2**32))
    def step(self, seed: int) -> None:
        """Take any step that is possible."""
        self.steps += 1
        self.random = Random(f"{seed} {self.steps}")  # noqa: S311 - nothing secret
        can = {
            "accept": sum(event.is_open() for event in self.events.values()) < MOST_OPEN,
            "route": bool(self.unrouted()),
            "settle": bool(self.running()),
            "replay": bool(self.dead()),
            "discard": bool(self.dead()),
            "reopen": bool(self.replayable()),
            "erase": bool(self.events),
            "requeue_out_of_turn": bool(self.deferred()),
            "delete_job": bool(self.deferred()),
            "cancel_job": bool(self.cancellable()),
            "sweep_checks": self.read is not None,
        }
        name = self.draw([name for name, weight in WEIGHTS.items() if can.get(name, True) for _ in range(weight)])
        note(f"{name}:")
        getattr(self, f"_{name}")()

    def _accept(self) -> None:
        self.store_event(self.draw(EVENT_KEYS))

    # Workers

    def _claim(self) -> None:
        self.claim(self.draw(PROCESSES), self.draw(tuple(QUEUES.values())))

    def claim(self, process: str, queue: str) -> bool:
        claim = self.claims_of(process, queue).claim()
        if claim is None:
            return False
        event = self.of(claim.job_id)
        if claim.handler_name and event.key and not claim.place:  # its key function failed, and works now
            assert self.claims_of(process, queue).acknowledge(acks.place(claim, self.place(claim.handler_name, event)))
            return True
        if claim.handler_name:
            self.starts(claim)
        self.claims[process].append(claim)
        return True

    def _route(self) -> None:
        process, claim = self.draw(self.unrouted())
        event = self.of(claim.job_id)
        self.claims[process].remove(claim)
        late = [name for name in QUEUES if self.draw(RARELY)]
        ack = acks.fan_out(claim, self.handler_jobs(event, without_key=late))
        if self.draw(RARELY):
            ack = acks.give_back(claim)
        is_erasing = self.is_erasing(claim)
        assert self.claims_of(process, claim.queue).acknowledge(ack) != is_erasing
        if is_erasing:
            event.states = dict.fromkeys(QUEUES, "gone")
        elif ack.kind == "fan_out":
            event.is_routed = True
            event.overtaken |= set(late)

    def _settle(self) -> None:
        process, claim = self.draw(self.running())
        how = self.draw(("finish", "finish", "finish", "skip", "retry", "bury", "give_back"))
        self.settle(process, claim, how)

    def settle(self, process: str, claim: Claim, how: str) -> None:
        self.claims[process].remove(claim)
        claims, attempt = self.claims_of(process, claim.queue), an_attempt(claim.handler_name)
        state = {"finish": "done", "skip": "done", "bury": "dead"}.get(how, "open")
        ack = {
            "finish": lambda: acks.finish(claim, "done", attempt),
            "skip": lambda: acks.skip(claim, attempt),
            "retry": lambda: acks.retry(claim, attempt, "", delay_seconds=self.draw((0, 60)), spends_retry=True),
            "bury": lambda: acks.bury(claim, attempt, ""),
            "give_back": lambda: acks.give_back(claim, delay_seconds=self.draw((0, 60))),
        }[how]()
        is_erasing = self.is_erasing(claim)
        assert claims.acknowledge(ack) != is_erasing
        self.ends(claim, "gone" if is_erasing else state)

    def _process_dies(self) -> None:
        self.die(self.draw(PROCESSES))

    def die(self, process: str) -> None:
        dying, self.claims[process] = self.claims[process], []
        for claim in dying:
            state = self.draw((ClaimState.STARTED, ClaimState.RESERVED))
            outcome = self.claims_of("parent", claim.queue).interrupt(
                claim.key, an_attempt("@", "interrupted"), state=state, counts=True
            )
            if outcome == "buried":
                self.dies(claim.job_id)
            elif claim.handler_name:
                self.ends(claim, "gone" if outcome == "stale" else "open")
            elif outcome == "stale":
                self.of(claim.job_id).states = dict.fromkeys(QUEUES, "gone")

    def _due(self) -> None:
        for job_id in self.scheduled():
            self.store.zadd(KEYS.rq_scheduled(self.queue_of(job_id)), {job_id: 0})
        for queue in QUEUES.values():
            self.claims_of("parent", queue).promote_due()

    def teardown(self) -> None:
        """After any history every event comes to its end, and nothing of the order is left."""
        for process in PROCESSES:
            self.die(process)
        for _ in range(100):
            self._sweep()
            self._due()
            for job_id in self.dead():
                self.replay(job_id)
            while sum(self.claim("one", queue) for queue in QUEUES.values()):
                for process, claim in self.running():
                    self.settle(process, claim, "finish")
                for _ in self.unrouted():
                    self._route()
            if not ledger(self.store)["open"]:
                break
        assert ledger(self.store)["open"] == 0
        assert is_balanced(self.store)
        assert int(self.store.get(KEYS.extra_jobs) or 0) == 0
        assert [*self.deferred(), *self.cancelled(), *left(self.store)] == []


def test_the_order_holds_after_any_steps_in_any_order(quick_store: redis.Redis) -> None:
    Order.store = quick_store
    run_model(Order, examples=6)
