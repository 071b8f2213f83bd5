"""Claims and acknowledgements one at a time, each in an exchange of its own."""

from collections.abc import Iterable

from surehook.workers.claim import Claim
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.queue import acks
from surehook.workers.queue.acks import Ack
from surehook.workers.queue.claims import Claims, FetchResult


class SingleClaims(Claims):
    """Claims that make one exchange for every step."""

    def next_number(self) -> int:
        """Returns the number of this process's next exchange."""
        return int(self._store.hget(self._keys.exchange(self._process), "number") or 0) + 1

    def claim(self) -> Claim | None:
        """Claims one job."""
        return next(iter(self.exchange([], wanted=1).claims), None)

    def acknowledge(self, ack: Ack) -> bool:
        """Returns False if the claim is stale."""
        return self.exchange([(ack, self._process, True)], wanted=0).accepted_acks[0]

    def finish(self, claim: Claim, outcome: str, attempt: AttemptRecord | None) -> bool:
        return self.acknowledge(acks.finish(claim, outcome, attempt))

    def retry(
        self, claim: Claim, attempt: AttemptRecord, traceback: str, *, delay_seconds: float, spends_retry: bool
    ) -> bool:
        ack = acks.retry(claim, attempt, traceback, delay_seconds=delay_seconds, spends_retry=spends_retry)
        return self.acknowledge(ack)

    def bury(self, claim: Claim, attempt: AttemptRecord, traceback: str) -> bool:
        return self.acknowledge(acks.bury(claim, attempt, traceback))

    def give_back(self, claim: Claim, *, delay_seconds: float) -> bool:
        return self.acknowledge(acks.give_back(claim, delay_seconds=delay_seconds))

    def fan_out(self, claim: Claim, handlers: Iterable[tuple[str, str, float] | tuple[str, str, float, str]]) -> bool:
        return self.acknowledge(acks.fan_out(claim, [acks.HandlerJob(*part) for part in handlers]))

    def exchange(self, sent: Iterable[tuple[Ack, str, bool]], *, wanted: int) -> FetchResult:
        arguments = self.exchange_arguments(self.next_number(), sent, wanted=wanted, starting=wanted)
        return self.parse_reply(self.exchange_script().run(self._store, *arguments))
