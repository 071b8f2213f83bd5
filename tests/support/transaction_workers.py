"""What workers do in the state machine for transactions, or fail to do; and what the network makes of what they say."""

from typing import Any

from surehook.shared.scripts import Script, text
from surehook.workers.transactional.protocol import Outcome, Transaction
from tests.support.transaction_machine import FACT_PARTS, OFTEN, RARELY, UNDO, UNDO_PARTS, WORKERS, Stage
from tests.support.transactions import KEYS

LATE_PACKETS = 6


class Workers(Stage):
    """Their steps."""

    def _claim(self) -> None:
        name, is_waiting, is_lost = self.draw(self.idle()), self.draw(OFTEN), self.draw(RARELY)
        queued = self.queued()

        transaction = self.room(name).wait(0.001) if is_waiting else self.room(name).claim()

        self.took(name, queued, transaction, is_lost=is_lost)

    def _settle(self) -> None:
        name, way = self.draw(list(self.held)), self.draw(("alone", "twice", "and wait", "and wait", "in vain"))
        held, room, queued = self.held[name], self.room(name), self.queued()
        verdict = self.verdicts.setdefault(held.claim, self.verdict())
        if way == "in vain":  # it tries again, and some day this arrives too
            room.lose("txn_settle", held, verdict)
            return
        del self.held[name]
        if way == "and wait":
            room.send_settlement(held, verdict, 0.001)
            stands = room.read_final_outcome(held, verdict)
            transaction = room.read_claim()
            self.settled(name, held, verdict, stands)
            self.took(name, queued, transaction, is_lost=self.draw(RARELY))
            return
        for _ in range(1 + (way == "twice")):  # the reply to the first may have been lost
            self.settled(name, held, verdict, room.settle(held, verdict))

    def verdict(self) -> Outcome:
        outcome, is_unknown = self.draw(("completed", "completed", "rejected", "failed")), self.draw(OFTEN)
        return Outcome(outcome, "words", is_unknown and outcome != "completed", UNDO_PARTS, FACT_PARTS)

    def settled(self, name: str, run: Transaction, verdict: Outcome, stands: str) -> None:
        model = self.models[self.ids.index(run.event_id)]
        assert stands == model.settle(
            (run.round, name, run.claim), verdict.outcome, self.now, is_unknown=verdict.is_unknown, undo=[UNDO]
        )
        self.witness.settles(run.round, verdict, stands)

    def _give_back(self) -> None:
        name, is_lost = self.draw(self.untried()), self.draw(OFTEN)
        held = self.held.pop(name)
        self.witness.gives_back(held.round)
        if is_lost:
            self.room(name).lose("txn_give_back", held)
            self.lost[name] = held
            self.witness.unsure.add(held.round)
            if name in self.idle():  # it asks for the next one, and finds the same
                self.took(name, self.queued(), self.room(name).claim(), is_lost=False)
            return
        self.gave_back(name, held, is_done=self.room(name).give_back(held))

    def gave_back(self, name: str, run: Transaction, *, is_done: bool) -> None:
        model = self.models[self.ids.index(run.event_id)]
        assert is_done == (model.give_back((run.round, name, run.claim), self.now) == "done")
        if not is_done:  # it may have been given up before
            self.witness.unsure.add(run.round)

    def _late_packet(self) -> None:
        """A packet of a connection that was given up: it arrives once more, or for the first time."""
        name, script, args = self.draw(self.calls[-LATE_PACKETS:])
        queued, runs = self.queued(), text(self.store.get(KEYS.run_of(name)) or b"")

        reply = Script(script, KEYS).run(self.store, *args)

        if script == "txn_claim" and runs and int(args[2]) <= int(runs.split()[-1]):
            assert reply is None
        elif script == "txn_claim":
            self.took(name, queued, _run(*reply[:3]) if reply else None, is_lost=True)
        else:
            event_id, number, _, claim, *more = args
            run = _run(event_id, number, claim)
            if script == "txn_settle":
                self.settled(name, run, Outcome(str(more[0]), is_unknown=more[1] == 1), text(reply))
            else:
                self.gave_back(name, run, is_done=reply == b"done")

    def _worker_freezes(self) -> None:
        """Its process beats no more: it has died, or it goes on one day."""
        if self.draw(OFTEN):
            self.protocol.take_ring()  # in its hands
        worker = self.draw(WORKERS)
        if self.draw(OFTEN):
            self.held.pop(self.name(worker), None)
        self.generations[worker] += 1


def _run(event_id: Any, number: Any, claim: Any) -> Transaction:
    return Transaction(text(event_id), text(number), 0, "", "", "", b"", claim=int(claim))
