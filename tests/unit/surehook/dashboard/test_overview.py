"""The sentence of the overview, and what it says needs a person."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from surehook.admin.bulk_actions import BulkAction, BulkState
from surehook.admin.dead_letters import Filter
from surehook.admin.failure_groups import FailureGroup
from surehook.admin.reconciliation import LastStatement
from surehook.admin.spool import SpoolSummary
from surehook.dashboard.doctor import Examination, Finding
from surehook.dashboard.views.overview import (
    Button,
    figures,
    needs_of,
    needs_of_actions,
    needs_of_checks,
    sentence,
)
from surehook.shared.stats import LimitState, QueueStats, Stats

QUEUE = QueueStats("events", 0, 0, 0, 0, 0, is_paused=False, oldest_waiting_seconds=0, workers=1)
WELL = Stats("", 181_204, 181_201, 0, 0, 0, 0, 3, 0, is_suspended=False, queues=(replace(QUEUE, waiting=3),))
NOW = datetime(2026, 11, 28, tzinfo=UTC)
OPEN_BREAKER = LimitState(None, None, False, True, 12.0, "breaker", 5.0)


def said(stats: Stats, orphans: int = 0, spool: SpoolSummary | None = None) -> str:
    return sentence(stats, list(needs_of(stats, orphans, spool or SpoolSummary())))


def changed(**fields: object) -> Stats:
    """Statistics in which the only queue is different."""
    return replace(WELL, queues=(replace(WELL.queues[0], **fields),))  # type: ignore[arg-type]


def test_nothing_is_wrong() -> None:
    assert said(WELL) == "All 181,204 events are done or waiting."
    assert said(replace(WELL, accepted=0, done=0, open=0, queues=())) == "No event has arrived yet."


def test_dead_letters_orphans_and_refused_events_are_counted() -> None:
    assert said(changed(waiting=0, dead=3)) == "All 181,204 events are done or waiting; 3 need you."
    assert said(changed(waiting=0, dead=3), orphans=1) == "All 181,204 events are done or waiting; 4 need you."
    assert said(WELL, spool=SpoolSummary(events=2, refused=1)) == "All 181,204 events are done or waiting; 1 needs you."


@pytest.mark.parametrize(
    ("stats", "needed"),
    [
        (changed(is_paused=True), "The queue events is paused"),
        (changed(workers=0), "No worker runs the queue events"),
        (changed(limits=OPEN_BREAKER), "The circuit breaker of events is open"),
        (replace(WELL, is_suspended=True), "All workers are suspended"),
    ],
    ids=["paused", "no worker", "breaker", "suspended"],
)
def test_what_holds_events_back_needs_a_person(stats: Stats, needed: str) -> None:
    assert [need.text for need in needs_of(stats, 0, SpoolSummary())] == [needed]
    assert said(stats) == "All 181,204 events are done or waiting, but something needs you."


def test_an_event_that_is_lost_is_said_before_all_else() -> None:
    lost = replace(WELL, done=181_199)

    assert said(lost) == "2 events of 181,204 cannot be accounted for."
    assert next(needs_of(lost, 0, SpoolSummary())).text == "The ledger does not balance by 2 events"


def test_numbers_that_are_zero_are_left_out_unless_they_are_always_of_interest() -> None:
    names = [figure.name for figure in figures(WELL, 0, SpoolSummary())]

    assert names == ["accepted", "done", "waiting", "running", "dead letters"]
    assert [figure.count for figure in figures(WELL, 0, SpoolSummary())] == [181_204, 181_201, 3, 0, 0]


def a_group(number: int, count: int) -> FailureGroup:
    return FailureGroup(f"{number:09x}", "it", "ValueError: no plan", "", count, count, NOW, NOW, "", False)


def test_the_largest_groups_of_dead_letters_have_a_button_each() -> None:
    groups = [a_group(number, 10 - number) for number in range(7)]

    needs = list(needs_of(changed(waiting=0, dead=49), 0, SpoolSummary(), groups))

    assert [need.text for need in needs] == [
        "10 dead letters of it", "9 dead letters of it", "8 dead letters of it", "7 dead letters of it",
        "6 dead letters of it", "9 other dead letters",
    ]  # fmt: skip
    assert sum(need.count for need in needs) == 49
    assert needs[0].button == Button("Replay…", "/actions", (("verb", "replay"), ("group", "0" * 9)))
    assert needs[0].path == "/dead-letters?group=000000000"


def test_a_paused_queue_and_an_open_breaker_have_a_button_that_resumes_them() -> None:
    for stats in (changed(is_paused=True), changed(limits=OPEN_BREAKER)):
        (need,) = needs_of(stats, 0, SpoolSummary())
        assert need.button == Button("Resume", "/queues", (("verb", "resume"), ("queue", "events")))


def test_a_group_that_has_grown_since_it_was_counted_is_not_counted_twice() -> None:
    needs = list(needs_of(changed(dead=3), 0, SpoolSummary(), [a_group(1, 4), a_group(2, 2)]))

    assert [(need.text, need.count) for need in needs] == [("2 dead letters of it", 2), ("1 other dead letter", 1)]


INTERRUPTED = BulkAction(
    "3f9a1c2b", "replay", BulkState.INTERRUPTED, Filter(), "ann", "", None, 5, (), 2, 0, "", "", "", False, "", "",
    False, "", NOW, NOW,
)  # fmt: skip


def test_an_interrupted_action_needs_a_person_unless_a_dashboard_goes_on_with_it() -> None:
    others = [
        replace(INTERRUPTED, state=state, stopped_by="ann") for state in BulkState if state is not BulkState.INTERRUPTED
    ]

    needs = list(needs_of_actions([INTERRUPTED, replace(INTERRUPTED, is_for_dashboard=True), *others], []))

    assert [(need.text, need.path) for need in needs] == [
        ("The replay of 5 events was interrupted", "/actions/3f9a1c2b")
    ]


def test_an_action_that_stopped_by_itself_needs_a_person_while_its_group_has_dead_letters() -> None:
    stopped = replace(
        INTERRUPTED, state=BulkState.STOPPED, filter=Filter(group_id="00000000a"), note="the first event failed again"
    )

    (need,) = needs_of_actions([stopped], {"00000000a"})
    assert (need.text, need.advice) == ("The replay of 5 events has stopped", "The first event failed again")
    assert need.path == "/actions/3f9a1c2b"
    assert not need.count, "its events are counted as dead letters"

    planned, running = (replace(stopped, state=state) for state in (BulkState.PLANNED, BulkState.RUNNING))
    assert list(needs_of_actions([stopped], {"00000000b"})) == [], "all were replayed in another way"
    assert list(needs_of_actions([replace(stopped, stopped_by="ann")], {"00000000a"})) == []
    assert list(needs_of_actions([running, stopped], {"00000000a"})) == [], "a newer action took its place"
    assert list(needs_of_actions([planned, stopped], {"00000000a"})) == [need]


def test_only_waiting_events_that_no_worker_runs_need_a_person() -> None:
    dead_alone = changed(waiting=0, dead=3, workers=0)
    transactional = changed(name="transactional", workers=0)

    assert [need.path for need in needs_of(dead_alone, 0, SpoolSummary())] == ["/dead-letters"]
    assert list(needs_of(transactional, 0, SpoolSummary())) == []


def test_missing_events_and_serious_findings_of_the_doctor_need_a_person() -> None:
    complete = LastStatement("", "", NOW, True, {}, (), (), None)
    finding = Finding("Store", "loses events", "appendfsync is no", "", "")

    assert list(needs_of_checks(complete, Examination(NOW, (replace(finding, level="odd"),)))) == []
    needs = list(needs_of_checks(replace(complete, is_complete=False), Examination(NOW, (finding,))))
    assert [need.path for need in needs] == ["/ledger", "/doctor"]
