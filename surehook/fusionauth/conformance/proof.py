"""Compares the answers of a run with our own store: which events it has, and which ran twice."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from surehook.admin.events import EventLog
from surehook.fusionauth.conformance.case import WRITING, Case, Expected, Level, Need
from surehook.fusionauth.conformance.exchange import Exchange
from surehook.fusionauth.conformance.judgement import Judgement, Result
from surehook.shared.plural import counted

PATIENCE_SECONDS = 10.0
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Proof:
    """Reads the store of the receiver. A handler that a worker has yet to run counts as run at most once."""

    log: EventLog

    def results(self, exchanges: Sequence[Exchange]) -> list[Result]:
        accepted = [each for each in exchanges if each.is_accepted and each.event_id]
        ids = {each.event_id for each in accepted}
        refused = [each for each in exchanges if each.event_id and not each.is_delivered and each.event_id not in ids]
        return [
            Result(STORED, self._stored(accepted)),
            Result(NOT_STORED, self._not_stored([each for each in refused if _was_answered(each)])),
            Result(ONCE, self._ran_once(accepted)),
        ]

    def _stored(self, accepted: Sequence[Exchange]) -> Judgement:
        deadline = time.monotonic() + PATIENCE_SECONDS  # an event may come by the spool
        lost = [each for each in accepted if not self._is_known(each.event_id)]
        while lost and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            lost = [each for each in lost if not self._is_known(each.event_id)]
        if lost:
            wrong = f"{counted(len(lost), 'event was', 'events were')} answered 2xx, and not in the store."
            return Judgement(Level.LOSES_EVENTS, wrong, tuple(lost))
        return Judgement(Level.OK)

    def _not_stored(self, refused: Sequence[Exchange]) -> Judgement:
        stored = tuple(each for each in refused if self._is_known(each.event_id))
        if stored:
            return Judgement(
                Level.FORGERY, f"{counted(len(stored), 'event was', 'events were')} refused, and in the store.", stored
            )
        return Judgement(Level.OK)

    def _ran_once(self, accepted: Sequence[Exchange]) -> Judgement:
        ids = Counter(each.event_id for each in accepted)
        twice = []
        for event_id in (event_id for event_id, count in ids.items() if count > 1):
            runs = Counter((each.get("handler"), each.get("number")) for each in self.log.attempts(event_id))
            if any(count > 1 for count in runs.values()):
                twice.append(event_id)
        if twice:
            shown = tuple(each for each in accepted if each.event_id in twice)
            return Judgement(
                Level.ODD,
                f"A handler ran twice for {counted(len(twice), 'event', 'events')} that arrived twice.",
                shown,
            )
        return Judgement(Level.OK)

    def _is_known(self, event_id: str) -> bool:
        return bool(self.log.like(event_id)) or self.log.known_since(event_id) is not None


def _was_answered(exchange: Exchange) -> bool:
    return exchange.response.status > 0


def _never(_: object) -> Sequence[Exchange]:
    return []


def _case(case_id: str, title: str, facts: str, level: Level) -> Case:
    return Case(f"proof.{case_id}", title, facts, WRITING, Expected.ACCEPTED, level, (Need.STORE,), _never)


STORED = _case("stored", "What is answered 2xx is in the store.", "§3, §5", Level.LOSES_EVENTS)
NOT_STORED = _case("not-stored", "What is refused is not in the store.", "§1, §2", Level.FORGERY)
ONCE = _case("once", "An event that arrives twice runs once.", "§5", Level.ODD)
PROOFS = (STORED, NOT_STORED, ONCE)
