"""The sentence of the overview, and what it says needs a person."""

from dataclasses import replace

import pytest

from surehook.admin.spool import SpoolSummary
from surehook.dashboard.views.overview import figures, needs_of, sentence
from surehook.shared.stats import LimitState, QueueStats, Stats

QUEUE = QueueStats("events", 0, 0, 0, 0, 0, is_paused=False, oldest_waiting_seconds=0, workers=1)
WELL = Stats("", 181_204, 181_201, 0, 0, 0, 0, 3, 0, is_suspended=False, queues=(replace(QUEUE, waiting=3),))
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
