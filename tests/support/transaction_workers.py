"""The steps of workers in the transaction state machine, with crashes and with commands that arrive late or twice."""

from typing import Any

from surehook.shared.scripts import Script, text
from surehook.workers.transactional.transaction import Outcome, Transaction
from tests.support.transaction_exchange import settle_and_wait, wait
from tests.support.transaction_machine import COMMITTED_JOBS, OFTEN, RARELY, UNDO, UNDO_JOBS, WORKERS, MachineState
from tests.support.transactions import KEYS

LATE_COMMANDS = 6


class WorkerSteps(MachineState):
    """Every step of a worker."""

    def _claim(self) -> None:
        name, is_waiting, is_lost = self.draw(self.idle()), self.draw(OFTEN), self.draw(RARELY)
        queued = self.queued()

        worker = self.protocol_of(name)
        transaction = wait(self.store, worker, 0.001, self.exchange_of(name)) if is_waiting else worker.claim()

        self.claimed(name, queued, transaction, is_lost=is_lost)

    def _settle(self) -> None:
        name, delivery = self.draw(list(self.running)), self.draw(("once", "twice", "and claim", "and claim", "lost"))
        running, protocol, queued = self.running[name], self.protocol_of(name), self.queued()
        outcome = self.outcomes.get(running.claim) or self.draw_outcome()
        if running.claim not in self.outcomes:
            self.outcomes[running.claim] = outcome
            self.witness.ends(running.round, outcome)
        if delivery == "lost":  # the worker tries again, and this command may arrive later
            protocol.delay("txn_settle", running, outcome)
            return
        del self.running[name]
        if delivery == "and claim":
            state, transaction = settle_and_wait(self.store, protocol, running, outcome, 0.001, self.exchange_of(name))
            self.settled(name, running, outcome, state)
            self.claimed(name, queued, transaction, is_lost=self.draw(RARELY))
            return
        for _ in range(1 + (delivery == "twice")):  # the first reply may have been lost
            self.settled(name, running, outcome, protocol.settle(running, outcome))

    def draw_outcome(self) -> Outcome:
        outcome, is_unknown = self.draw(("completed", "completed", "rejected", "failed")), self.draw(OFTEN)
        return Outcome(outcome, "a reason", is_unknown and outcome != "completed", UNDO_JOBS, COMMITTED_JOBS)

    def settled(self, name: str, run: Transaction, outcome: Outcome, state: str) -> None:
        model = self.models[self.ids.index(run.event_id)]
        assert state == model.settle(
            (run.round, name, run.claim), outcome.outcome, self.now, is_unknown=outcome.is_unknown, undo=[UNDO]
        )
        self.witness.settles(run.round, outcome, state)

    def _give_back(self) -> None:
        name, is_lost = self.draw(self.without_outcome()), self.draw(OFTEN)
        running = self.running.pop(name)
        self.witness.gives_back(running.round)
        if is_lost:
            self.protocol_of(name).delay("txn_give_back", running)
            self.lost[name] = running
            self.witness.unsure.add(running.round)
            if name in self.idle():  # it claims again and gets the same transaction
                self.claimed(name, self.queued(), self.protocol_of(name).claim(), is_lost=False)
            return
        self.gave_back(name, running, is_done=self.protocol_of(name).give_back(running))

    def gave_back(self, name: str, run: Transaction, *, is_done: bool) -> None:
        model = self.models[self.ids.index(run.event_id)]
        assert is_done == (model.give_back((run.round, name, run.claim), self.now) == "done")
        if not is_done:  # its worker may have been presumed dead before
            self.witness.unsure.add(run.round)

    def _late_command(self) -> None:
        """A command of an abandoned connection arrives late, for the first or the second time."""
        name, script, args = self.draw(self.calls[-LATE_COMMANDS:])
        queued, runs = self.queued(), text(self.store.get(KEYS.run_of(name)) or b"")

        reply = Script(script, KEYS).run(self.store, *args)

        if script != "txn_give_back":
            (reply,) = reply
        if script == "txn_claim" and runs and int(args[2]) <= int(runs.split()[-1]):
            assert reply is None
        elif script == "txn_claim":
            self.claimed(name, queued, _run(*reply[:3]) if reply else None, is_lost=True)
        else:
            event_id, number, _, claim, *more = args
            run = _run(event_id, number, claim)
            if script == "txn_settle":
                self.settled(name, run, Outcome(str(more[0]), is_unknown=more[1] == 1), text(reply))
            else:
                self.gave_back(name, run, is_done=reply == b"done")

    def _handler_acts(self) -> None:
        """A handler has its effect now, maybe long after its worker was presumed dead."""
        self.witness.acts(self.running[self.draw(self.without_outcome())].round)

    def _worker_dies(self) -> None:
        """Its supervisor lives, and reports the death."""
        self.die(self.draw(list(self.running)))

    def die(self, name: str) -> None:
        running = self.running.pop(name)
        self.generations[name.rpartition("-")[0]] += name in self.idle()
        outcome = Outcome("failed", is_unknown=True, undo_jobs=UNDO_JOBS)
        self.witness.dies(running.round)
        for _ in range(1 + self.draw(OFTEN)):  # the first reply may have been lost
            self.settled(name, running, outcome, self.protocol_of(name).settle(running, outcome))

    def _worker_freezes(self) -> None:
        """Its process sends no more heartbeats: its machine is lost, or it goes on later."""
        if self.draw(OFTEN):
            self.protocol.consume_wake_up()  # the wake-up is lost with it
        worker = self.draw(WORKERS)
        if self.draw(OFTEN):
            self.running.pop(self.name(worker), None)
        self.generations[worker] += 1


def _run(event_id: Any, number: Any, claim: Any) -> Transaction:
    return Transaction(text(event_id), text(number), 0, "", "", "", b"", claim=int(claim))
