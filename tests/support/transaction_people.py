"""The steps of people in the transaction state machine: erase, pause, resolve, run as committed."""

from surehook.shared.keys import TRANSACTIONAL_QUEUE
from tests.support.transaction_machine import EVENTS, OFTEN, MachineState
from tests.support.transaction_round import REFUSALS
from tests.support.transactions import KEYS


class PeopleSteps(MachineState):
    """Every step of an operator."""

    def _erase(self) -> None:
        event = self.draw(EVENTS)
        assert self.erasure().erase(self.ids[event]).outcome == self.models[event].erase()
        self.witness.resolved.add(event)
        self.witness.erased.add(event)

    def _pause(self) -> None:
        self.is_paused = not self.is_paused
        (self.store.sadd if self.is_paused else self.store.srem)(KEYS.paused, TRANSACTIONAL_QUEUE)

    def _operator_resolves(self) -> None:
        self.resolve(self.draw(EVENTS), committed=self.draw(OFTEN))

    def resolve(self, event: int, *, committed: bool) -> None:
        model = self.models[event]
        assert self.protocol.resolve(self.ids[event]) == model.is_orphan
        model.is_orphan = False
        self.witness.resolved.add(event)
        may_commit = model.decision in REFUSALS and model.is_closed and not model.is_erased
        if committed:
            assert self.protocol.replay_committed(self.ids[event]) == may_commit
        if committed and may_commit:
            model.commit()
            self.witness.committed.add(event)
