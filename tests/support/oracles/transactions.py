"""The truth about transactions, independent of the protocol: which handlers took effect, and which must be undone."""

from typing import Any

from surehook.shared.scripts import Argument
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome, Transaction


class Witness:
    """Follows each transaction by its round. A round may have an effect from the start of its handlers on."""

    def __init__(self) -> None:
        self.event_of: dict[str, int] = {}
        self.started: set[str] = set()
        self.acted: set[str] = set()
        """Its handlers had an effect."""
        self.undone: set[str] = set()
        """Undone after its last effect."""
        self.harmless: set[str] = set()
        """Its handlers refused: it is no orphan."""
        self.confirmed: set[str] = set()
        self.unsure: set[str] = set()
        """May be an orphan: its worker may not know of it, died, or was presumed dead and refused later."""
        self.resolved: set[int] = set()
        """Events that an operator has resolved, erased or run as committed."""
        self.erased: set[int] = set()
        self.committed: set[int] = set()

    def asked(self, event: int, number: str) -> None:
        self.event_of[number] = event

    def starts(self, number: str) -> None:
        assert number not in self.started, "its handlers start a second time"
        self.started.add(number)

    def acts(self, number: str) -> None:
        self.acted.add(number)
        self.undone.discard(number)

    def ends(self, number: str, outcome: Outcome) -> None:
        """Its handlers have ended, and its worker is about to report the outcome."""
        if outcome.outcome == "completed" or outcome.is_unknown:
            self.acts(number)

    def dies(self, number: str) -> None:
        self.unsure.add(number)

    def gives_back(self, number: str) -> None:
        self.started.discard(number)
        self.acted.discard(number)

    def settles(self, number: str, outcome: Outcome, state: str) -> None:
        if outcome.outcome == "completed" or outcome.is_unknown:
            return
        (self.unsure if state == "stale" else self.harmless).add(number)

    def undoes(self, event: int) -> None:
        self.undone |= {number for number, whose in self.event_of.items() if whose == event}

    def check(self, orphaned: int, listed: set[int]) -> None:
        """Checks at the end that each effect was answered with success or undone, and that each orphan is listed."""
        assert self.confirmed <= self.started
        assert not self.confirmed & self.harmless
        orphans = self.started - self.confirmed - self.harmless - self.unsure
        assert len(orphans) <= orphaned <= len(orphans | (self.unsure - self.confirmed))
        assert {self.event_of[number] for number in orphans} <= listed | self.resolved
        kept = {self.event_of[number] for number in self.confirmed} | self.committed | self.erased
        left = {number for number in self.acted - self.undone if self.event_of[number] not in kept}
        assert not left, "an effect stands behind a refusal"


RecordedCall = tuple[str, str, tuple[Argument, ...]]  # the names of worker and script, and the arguments


class RecordedProtocol(TransactionProtocol):
    """Records its commands, so that a test can let them arrive late or twice."""

    calls: list[RecordedCall]

    def delay(self, name: str, transaction: Transaction, outcome: Outcome | None = None) -> None:
        """Records a command without sending it: it may arrive later."""
        if outcome is None:
            self.calls.append((self._worker, name, self._run_arguments(transaction)))
        else:
            self.outcome_arguments(transaction, outcome)

    def _run(self, name: str, *args: Any) -> Any:
        if name == "txn_give_back":
            self.calls.append((self._worker, name, args))
        return super()._run(name, *args)

    def outcome_arguments(self, transaction: Transaction, outcome: Outcome) -> tuple[Argument, ...]:
        arguments = super().outcome_arguments(transaction, outcome)
        self.calls.append((self._worker, "txn_settle", arguments))
        return arguments

    def claim_arguments(self) -> tuple[Argument, ...]:
        arguments = super().claim_arguments()
        self.calls.append((self._worker, "txn_claim", (self._process, *arguments)))
        return arguments
