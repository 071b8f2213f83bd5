"""Runs operations: sends their events, rolls back where a webhook's answer asks for it, and keeps count."""

from collections import Counter
from dataclasses import dataclass, field

from surehook.fusionauth.simulator.delivery import Deliverer, Fired
from surehook.fusionauth.simulator.population import Operation


@dataclass
class Tally:
    """Counts of a run. An event that was not sent has no webhook that wants it."""

    operations: Counter[str] = field(default_factory=Counter)
    rolled_back: int = 0
    committed_ids: set[str] = field(default_factory=set)
    rolled_back_ids: set[str] = field(default_factory=set)
    not_sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    failures: int = 0
    """The attempts that FusionAuth counts as failed, without those that the simulator has disturbed."""

    def add(self, fired: Fired) -> None:
        if not fired.attempts:
            self.not_sent += 1
        for attempt in fired.attempts:
            self.statuses[attempt.response.status] += 1
            if attempt.fault is not None:
                self.faults[attempt.fault.name.lower()] += 1
            elif not attempt.response.is_success:
                self.failures += 1

    @property
    def events(self) -> int:
        return len(self.committed_ids) + len(self.rolled_back_ids) + self.not_sent


def run(operation: Operation, deliverer: Deliverer, tally: Tally) -> bool:
    """Runs an operation and says whether it committed.

    Events of the open transaction come first, and the first that fails it ends it: events of an operation that was
    rolled back are not sent afterwards. On installations with that fault, `.complete` comes before the commit.
    """
    tally.operations[operation.name] += 1
    is_early = deliverer.instance.quirks.complete_comes_early and "provider" in operation.name
    sent: list[Fired] = []
    for event in (*operation.after, *operation.before) if is_early else operation.before:
        sent.append(deliverer.fire(event))
        tally.add(sent[-1])
        if not sent[-1].commits:
            tally.rolled_back += 1
            tally.rolled_back_ids.update(_ids(sent))
            return False
    operation.apply()
    for event in () if is_early else operation.after:
        sent.append(deliverer.fire(event))
        tally.add(sent[-1])
    tally.committed_ids.update(_ids(sent))
    return True


def _ids(sent: list[Fired]) -> list[str]:
    return [str(fired.event["id"]) for fired in sent if fired.attempts]
