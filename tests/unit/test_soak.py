"""A soak must notice a second effect that none of its faults explains (P2), and wait for what is spooled."""

from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from harness.events import a_body, an_event
from surehook.ingest.spool.database import Database
from surehook.ingest.spool.schema import Received
from surehook.shared.encryption import BodyCipher
from surehook.shared.envelope import parse_envelope
from tests.support.soak.journal import STORE
from tests.support.soak.repetitions import UNSETTLED_SECONDS, Absences, Effect, Job, LoggedRuns, repetitions
from tests.support.soak.stretch import spooled_events

EVENT_ID = "3f0c2b1e-6a57-4c7d-9a55-0f1c6f6f2a11"
JOB: Job = ("mail", EVENT_ID)
EFFECTS = [
    Effect(attempt=1, process=11, supervisor=10, at=100.0),
    Effect(attempt=2, process=21, supervisor=20, at=130.0),
]
ALWAYS_THERE: Absences = {}


def logged(**counts: int) -> LoggedRuns:
    runs = LoggedRuns([])
    for what, count in counts.items():
        setattr(runs, what, Counter({JOB: count}))
    return runs


def test_one_effect_is_no_repetition() -> None:
    assert repetitions({JOB: EFFECTS[:1]}, logged(settled=1), ALWAYS_THERE) == []


@pytest.mark.parametrize(
    ("counts", "absences", "is_explained", "is_uncounted"),
    [
        pytest.param({}, {}, False, True, id="nothing happened"),
        pytest.param({"interrupted": 1}, {}, True, False, id="counted as interrupted"),
        pytest.param({"discarded": 1}, {}, True, False, id="its lease was lost"),
        pytest.param({"settled": 2}, {10: [(99.0, 105.0)]}, False, True, id="both were acknowledged"),
        pytest.param({"settled": 2, "interrupted": 1}, {}, False, False, id="both were acknowledged, though counted"),
        pytest.param({}, {10: [(101.0, float("inf"))]}, True, True, id="its supervisor was killed afterwards"),
        pytest.param({}, {10: [(90.0, 99.0)]}, False, True, id="its supervisor was back before the run"),
        pytest.param(
            {}, {10: [(101.0 + UNSETTLED_SECONDS, float("inf"))]}, False, True, id="its supervisor was killed later"
        ),
        pytest.param(
            {},
            {10: [(181.0, float("inf"))], STORE: [(101.0, 175.0)]},
            True,
            True,
            id="its supervisor was killed when the store had just come back",
        ),
        pytest.param({}, {30: [(99.0, 105.0)]}, False, True, id="another supervisor was away"),
    ],
)
def test_a_second_effect_needs_a_fault_that_explains_it(
    counts: dict[str, int], absences: Absences, *, is_explained: bool, is_uncounted: bool
) -> None:
    (found,) = repetitions({JOB: EFFECTS}, logged(settled=1) if not counts else logged(**counts), absences)

    assert (found.is_explained, found.is_uncounted) == (is_explained, is_uncounted)


def test_each_surplus_effect_needs_its_own_explanation() -> None:
    (found,) = repetitions({JOB: [*EFFECTS, EFFECTS[1]]}, logged(interrupted=1), ALWAYS_THERE)

    assert not found.is_explained


def test_the_log_tells_how_runs_ended() -> None:
    run = {"message": "handler ran", "handler": "mail", "event_id": EVENT_ID}
    died = {"message": "run interrupted", "handler": "mail", "job_id": f"{EVENT_ID}_mail"}

    runs = LoggedRuns(
        [
            run | {"outcome": "done"},
            run | {"outcome": "discarded"},
            died | {"outcome": "requeued"},
            died | {"outcome": "buried"},
            {"message": "discarded"},
        ]
    )

    assert (runs.settled[JOB], runs.discarded[JOB], runs.interrupted[JOB], runs.buried) == (1, 1, 2, {EVENT_ID})


def test_events_in_the_spool_are_counted_whatever_address_of_the_store_ingest_has(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    with closing(Database(tmp_path / "spool" / "one.sqlite3", BodyCipher(), "its own address")) as database:
        database.create()
        database.append([Received(parse_envelope(a_body(an_event())), 1_700_000_000_000)], 1_000_000)

    assert spooled_events(tmp_path) == 1

    (tmp_path / "spool" / "two.sqlite3").write_bytes(b"not a database")
    assert spooled_events(tmp_path) == float("inf")
