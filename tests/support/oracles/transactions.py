"""What must be true of transactions whatever the protocol is: seen from outside, by what handlers did."""

from collections.abc import Sequence
from typing import Any

from surehook.shared.scripts import Argument
from surehook.workers.connection import Command
from surehook.workers.transactional.protocol import Outcome, Transaction, TransactionProtocol


class Witness:
    """One entry for each round of asking. A round has an effect if its handlers started and were not given back."""

    def __init__(self) -> None:
        self.event_of: dict[str, int] = {}
        self.started: set[str] = set()
        self.ended: set[str] = set()
        """Its handlers have ended with a success, or nobody knows with what."""
        self.harmless: set[str] = set()
        """They said no, and left nothing."""
        self.confirmed: set[str] = set()
        self.unsure: set[str] = set()
        """May be an orphan, or none: its worker may know nothing of it, or it was given up and said no later."""
        self.undone: set[str] = set()
        self.seen_to: set[int] = set()
        """Events that a person has decided about: resolved, erased, or run as a fact."""

    def asked(self, event: int, number: str) -> None:
        self.event_of[number] = event

    def starts(self, number: str) -> None:
        assert number not in self.started, "its handlers start a second time"
        self.started.add(number)

    def gives_back(self, number: str) -> None:
        self.started.discard(number)

    def settles(self, number: str, verdict: Outcome, stands: str) -> None:
        if verdict.outcome == "completed" or verdict.is_unknown:
            self.ended.add(number)
            self.undone.discard(number)
        elif stands == "stale":
            self.unsure.add(number)
        else:
            self.harmless.add(number)

    def undoes(self, event: int) -> None:
        self.undone |= {number for number, whose in self.event_of.items() if whose == event}

    def check(self, orphaned: int, listed: set[int]) -> None:
        """When all is over: each effect was told of with a yes, or is an orphan, listed and undone after it ended."""
        assert self.confirmed <= self.started
        assert not self.confirmed & self.harmless
        orphans = self.started - self.confirmed - self.harmless - self.unsure
        assert len(orphans) <= orphaned <= len(orphans | (self.unsure - self.confirmed))
        latest = {event: number for number, event in self.event_of.items()}
        for number in orphans:
            event = self.event_of[number]
            assert event in listed | self.seen_to
            if latest[event] == number and event not in self.seen_to:
                assert number in self.undone or number not in self.ended


LATE = ("txn_claim", "txn_settle", "txn_give_back")
Call = tuple[str, str, tuple[Argument, ...]]  # the worker's name, the script's, and what it was told


class Recorded(TransactionProtocol):
    """Keeps what it sends, so that a test can let it arrive once more, or for the first time, whenever it likes."""

    calls: list[Call]

    def lose(self, name: str, transaction: Transaction, verdict: Outcome | None = None) -> None:
        """It is sent, and does not arrive for now."""
        args = self._run_arguments(transaction) if verdict is None else self._settlement(transaction, verdict)
        self.calls.append((self._worker, name, args))

    def _run(self, name: str, *args: Any) -> Any:
        if name in LATE:
            self.calls.append((self._worker, name, args))
        return super()._run(name, *args)

    def _send(self, commands: Sequence[Command]) -> None:
        names = {script.sha: name for name, script in self._scripts.items()}
        self.calls += [(self._worker, names[str(each[1])], each[3:]) for each in commands if each[0] == "EVALSHA"]
        super()._send(commands)
