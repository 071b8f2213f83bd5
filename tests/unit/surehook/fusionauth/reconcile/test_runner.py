"""Reconciling finds what is missing, runs nothing that was rolled back, and can be repeated."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from surehook.fusionauth.reconcile.decisions import SETTLED_AFTER_MS, Webhooks
from surehook.fusionauth.reconcile.entries import LogEntry
from surehook.fusionauth.reconcile.runner import Known, Reconciler, Stored
from tests.unit.surehook.fusionauth.reconcile.test_windows import Damaged, Log

NOW = 1_790_000_000_000
DAY = 86_400_000
OURS = "11111111-0000-4000-8000-000000000000"
STATUS = {"ok": ("Success", 202), "no": ("Failure", 422), "lost": ("Failure", -1)}


class Store:
    """A store in memory."""

    def __init__(self, *present: int, refused: Sequence[int] = (), confirmed: Sequence[int] = ()) -> None:
        self.known = {str(UUID(int=n)): Known.PRESENT for n in present}
        self.known |= {str(UUID(int=n)): Known.REFUSED for n in refused}
        self.known |= {str(UUID(int=n)): Known.CONFIRMED for n in confirmed}
        self.stored: list[int] = []
        self.outcomes: dict[int, Stored] = {}
        self.committed: list[int] = []

    def look_up(self, event_ids: Sequence[str]) -> list[Known]:
        return [self.known.get(event_id, Known.NEW) for event_id in event_ids]

    def store(self, entries: Sequence[LogEntry]) -> list[Stored]:
        for entry in entries:
            self.known[entry.envelope.event_id] = Known.PRESENT
            self.stored.append(UUID(entry.envelope.event_id).int)
        return [self.outcomes.get(UUID(entry.envelope.event_id).int, Stored.NEW) for entry in entries]

    def run_committed(self, event_id: str) -> None:
        self.known[event_id] = Known.PRESENT
        self.committed.append(UUID(event_id).int)


def a_row(
    number: int,
    answer: str | None = "lost",
    result: str = "Succeeded",
    *,
    age_ms: int = DAY // 2,
    event_type: str = "user.create.complete",
) -> dict[str, Any]:
    attempts = []
    if answer is not None:
        name, status = STATUS[answer]
        attempts = [{"webhookId": OURS, "attemptResult": name, "webhookCallResponse": {"statusCode": status}}]
    return {
        "id": f"log-{number}",
        "sequence": number,
        "insertInstant": NOW - age_ms,
        "eventResult": result,
        "event": {"event": {"id": str(UUID(int=number)), "type": event_type}},
        "attempts": attempts,
    }


def a_log(*rows: dict[str, Any]) -> Log:
    log = Log([])
    log.rows = list(rows)
    return log


def a_reconciler(log: Log, store: Store, advanced: list[int]) -> Reconciler:
    ours = Webhooks(frozenset({OURS}), lambda event_type, tenant_id, at_ms: True)
    return Reconciler(
        log, store, ours, lambda: NOW, id_retention_ms=2 * DAY, max_body_bytes=1000, advance=advanced.append
    )


class Run:
    """One run over the last thirty days."""

    def __init__(self, store: Store, *rows: dict[str, Any], is_dry_run: bool = False) -> None:
        self.advanced: list[int] = []
        reconciler = a_reconciler(a_log(*rows), store, self.advanced)
        self.statement = reconciler.run(NOW - 30 * DAY, NOW, is_dry_run=is_dry_run)


def test_what_is_missing_is_stored_in_the_order_it_was_fired() -> None:
    store = Store(2)

    run = Run(store, a_row(3, "no"), a_row(1, "lost"), a_row(2, "lost"), a_row(4, "ok"), a_row(5, None))

    assert store.stored == [1, 3, 4]
    statement = run.statement
    assert (statement.fired, statement.arrived, statement.recovered, statement.answered) == (4, 1, 3, 1)
    assert statement.is_complete


def test_a_second_run_finds_everything_there() -> None:
    store = Store()
    rows = [a_row(1), a_row(2, "no")]
    Run(store, *rows)

    statement = Run(store, *rows).statement

    assert store.stored == [1, 2]
    assert (statement.arrived, statement.recovered) == (2, 0)


def test_what_was_rolled_back_never_runs() -> None:
    store = Store()

    statement = Run(store, a_row(1, "no", "Failed", event_type="user.create")).statement

    assert (store.stored, store.committed) == ([], [])
    assert (statement.fired, statement.rolled_back) == (0, 1)


def test_what_fusionauth_committed_in_spite_of_our_refusal_runs_once() -> None:
    store = Store(refused=[1, 2])
    rows = [a_row(1, "no", event_type="user.create"), a_row(2, "no", "Failed", event_type="user.create")]

    assert Run(store, *rows).statement.committed == 1
    assert Run(store, *rows).statement.committed == 0
    assert store.committed == [1]


def test_older_events_than_ids_are_kept_are_not_run_again() -> None:
    store = Store(2)

    statement = Run(store, a_row(1, age_ms=3 * DAY), a_row(2, age_ms=3 * DAY)).statement

    assert store.stored == []
    assert (statement.too_old, statement.arrived, statement.is_complete) == (1, 1, False)
    assert str(UUID(int=1)) in statement.text()


def test_nothing_is_decided_past_an_operation_that_still_runs() -> None:
    running = a_row(1, None, "Running", age_ms=60_000, event_type="user.create")

    run = Run(Store(), running, a_row(2, age_ms=30_000))

    assert max(run.advanced) == NOW - 60_000
    assert (run.statement.running, run.statement.recovered, run.statement.is_complete) == (1, 1, True)


def test_an_interrupted_operation_is_named_and_does_not_block() -> None:
    run = Run(Store(), a_row(1, "ok", "Running", age_ms=2 * SETTLED_AFTER_MS, event_type="user.create"))

    assert run.advanced[-1] == NOW
    assert (run.statement.interrupted, run.statement.is_complete) == (1, False)


def test_a_dry_run_changes_nothing_and_says_what_it_would_do() -> None:
    store = Store(refused=[2])

    run = Run(store, a_row(1), a_row(2, "no", event_type="user.create"), is_dry_run=True)

    assert (store.stored, store.committed, run.advanced) == ([], [], [])
    assert "1 could be recovered" in run.statement.text()
    assert not run.statement.is_complete


DEEP: Any = {"id": str(UUID(int=1)), "type": "user.create", "data": []}
for _ in range(950):
    DEEP["data"] = [DEEP["data"]]


NO_ID = {"event": {"type": "user.create"}}
ODD = [None, "{", NO_ID, {"event": DEEP}, '{"event":' + "[" * 100_000, '{"event":\ud800']


@pytest.mark.parametrize("event", ODD, ids=["none", "no JSON", "no id", "deep", "deep text", "no UTF-8"])
def test_an_entry_without_a_usable_event_is_counted_and_blocks_nothing(event: Any) -> None:
    store = Store()

    statement = Run(store, a_row(1) | {"event": event}, a_row(2)).statement

    assert store.stored == [2]
    assert (statement.unusable, statement.lost, statement.is_complete) == (1, 1, False)


def test_an_entry_that_cannot_be_read_is_named_and_the_period_is_not_complete() -> None:
    log, store, advanced = Damaged([], {2}), Store(), list[int]()
    log.rows = [a_row(1), a_row(2), a_row(3)]

    statement = a_reconciler(log, store, advanced).run(NOW - 30 * DAY, NOW)

    assert (store.stored, advanced[-1]) == ([1, 3], NOW)
    assert (statement.fired, statement.unreadable, statement.is_complete) == (2, 1, False)
    assert "\n1 entry of the log cannot be read" in statement.text()
    assert statement.ids["unreadable"] == ["log entry log-2"]


@pytest.mark.parametrize("instant", [None, "yesterday", -5, 10**30])
@pytest.mark.parametrize("result", ["Succeeded", "Running"])
def test_an_instant_that_cannot_be_true_moves_the_mark_past_no_other_event(instant: Any, result: str) -> None:
    class Odd(Log):
        def search_event_log(self, **search: Any) -> tuple[int, list[dict[str, Any]]]:
            total, found = super().search_event_log(**search)
            return total, [row | ({"insertInstant": instant} if row["sequence"] == 1 else {}) for row in found]

    log, store, advanced = Odd([]), Store(), list[int]()
    log.rows = [a_row(1, "lost", result), a_row(2)]

    statement = a_reconciler(log, store, advanced).run(NOW - 30 * DAY, NOW)

    assert store.stored == [1, 2]
    assert (statement.recovered, advanced[-1]) == (2, NOW)


@pytest.mark.parametrize(("outcome", "name"), [(Stored.DUPLICATE, "arrived"), (Stored.REFUSED, "unusable")])
def test_an_event_that_the_store_does_not_take_is_not_called_recovered(outcome: Stored, name: str) -> None:
    store = Store()
    store.outcomes[1] = outcome

    statement = Run(store, a_row(1, "ok"), a_row(2)).statement

    assert (getattr(statement, name), statement.recovered, statement.answered) == (1, 1, 0)


def test_a_body_that_the_endpoint_would_refuse_is_not_stored_and_named() -> None:
    store = Store()
    large = a_row(1) | {"event": {"event": {"id": str(UUID(int=1)), "type": "user.bulk.create", "x": "x" * 1000}}}

    statement = Run(store, large, a_row(2)).statement

    assert store.stored == [2]
    assert (statement.too_large, statement.lost, statement.is_complete) == (1, 1, False)
    assert "SUREHOOK_MAX_BODY_BYTES" in statement.text()


def test_the_statement_adds_up_as_text_and_json() -> None:
    statement = Run(Store(1), a_row(1), a_row(2), a_row(3, age_ms=3 * DAY)).statement

    assert "fired 3 events for us:\n1 had arrived, 1 was recovered, 1 cannot be had." in statement.text()
    found = statement.as_json()
    assert found["fired"] == found["arrived"] + found["recovered"] + found["too_old"] + found["unusable"] == 3


def test_a_success_of_ours_that_fusionauth_rolled_back_is_named_for_a_person() -> None:
    rows = [a_row(n, "lost", "Failed", event_type="user.create") for n in (1, 2)]

    statement = Run(Store(2, confirmed=[1]), *rows).statement

    assert (statement.rolled_back, statement.contradicted, statement.is_complete) == (2, 1, False)
    assert "1 succeeded here and was rolled back" in statement.text()
