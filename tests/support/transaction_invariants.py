"""The invariants of the transaction state machine: after every step the store agrees with the model."""

from collections.abc import Iterable

from hypothesis.stateful import invariant

from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import text, texts
from tests.support.transaction_machine import PROCESSES, MachineState
from tests.support.transaction_round import REFUSALS
from tests.support.transactions import KEYS, by_event, notifications


class Invariants(MachineState):
    """The store agrees with the model."""

    @invariant()
    def the_store_agrees_with_the_model(self) -> None:
        with self.store.pipeline(transaction=False) as pipeline:
            for process in PROCESSES:
                pipeline.lpop(KEYS.replies(process), 1000)
            pipeline.hgetall(KEYS.ledger)
            pipeline.zcard(KEYS.open)
            for key in (KEYS.orphans, *map(KEYS.decided, REFUSALS)):
                pipeline.zrange(key, 0, -1)
            pipeline.lrange(Keys().rq_queue(EVENTS_QUEUE), 0, -1)
            *replies, counts, opened, orphans, rejected, failed, abandoned, jobs = pipeline.execute()
        self.every_waiting_process_is_notified_once(dict(zip(PROCESSES, replies, strict=True)))
        counts = {text(name): int(number) for name, number in counts.items()}
        self.the_ledger_balances(counts, opened)
        self.each_orphan_is_found_once(counts, texts(orphans))
        self.jobs_are_queued_once_and_not_too_early(texts(jobs))
        self.a_refusal_is_listed_until_it_is_committed(map(texts, (rejected, failed, abandoned)))

    def every_waiting_process_is_notified_once(self, replies: dict[str, list[bytes]]) -> None:
        notified: dict[str, list[tuple[str, str, str]]] = {event_id: [] for event_id in self.ids}
        for process, lines in replies.items():
            for event_id, number, state in notifications(lines or []):
                notified[event_id].append((process, number, state))
                key = (self.ids.index(event_id), number, process)
                for request in self.waiting:
                    request.is_decided |= (request.event, request.round, request.process) == key
        for event_id, model in zip(self.ids, self.models, strict=True):
            expected, model.notifications = sorted(model.notifications), []
            assert sorted(notified[event_id]) == expected

    def the_ledger_balances(self, counts: dict[str, int], opened: int) -> None:
        closed = sum(counts.get(outcome, 0) for outcome in ("done", "discarded", "erased"))
        assert counts.get("accepted", 0) - counts.get("renumbered", 0) - closed == opened
        assert opened == sum(not model.is_closed for model in self.models)

    def each_orphan_is_found_once(self, counts: dict[str, int], orphans: list[str]) -> None:
        assert counts.get("orphaned", 0) == sum(model.orphans for model in self.models)
        listed = {self.ids.index(event_id) for event_id in orphans}
        assert listed == {i for i, model in enumerate(self.models) if model.is_orphan}

    def jobs_are_queued_once_and_not_too_early(self, jobs: list[str]) -> None:
        for event_id, model in zip(self.ids, self.models, strict=True):
            assert by_event(jobs, event_id) == model.jobs

    def a_refusal_is_listed_until_it_is_committed(self, decided: Iterable[list[str]]) -> None:
        lists = dict(zip(REFUSALS, decided, strict=True))
        for event_id, model in zip(self.ids, self.models, strict=True):
            listed = [each for each, event_ids in lists.items() if event_id in event_ids]
            assert listed == ([model.decision] if model.decision in REFUSALS and not model.is_committed else [])
