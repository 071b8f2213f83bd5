"""How long a job that must run alone waits in a busy process."""

from typing import Any

import pytest

from surehook.workers.claim import Claim
from surehook.workers.queue.quarantine import FIRST_WAIT_SECONDS, MOST_REMEMBERED, Quarantine
from surehook.workers.queue.threads import FOREVER, JobInProgress

ALL_ALONE = 1
BUSY = 2


def a_claim(job_id: str = "a") -> JobInProgress:
    facts: Any = {"event_type": "", "tenant_id": "", "application_id": "", "body": b"", "handler_name": ""}
    claim = Claim("events", job_id, "token", runs=2, spent=0, interruptions=1, **facts)
    return JobInProgress(claim, slot=0, came_at=100.0, ours_until=FOREVER)


def a_stay(alone: Quarantine, job_id: str = "a") -> float:
    """How long it waits this time, until it goes back."""
    held = a_claim(job_id)
    alone.came(held)
    until = alone.waits_until
    assert alone.goes_back(until - 0.01) is None
    assert alone.goes_back(until) is held
    alone.left(held)
    return until - held.came_at


def test_each_time_it_comes_again_it_waits_twice_as_long() -> None:
    alone = Quarantine()

    waits = [a_stay(alone) for _ in range(9)]

    assert waits == pytest.approx([FIRST_WAIT_SECONDS * 2**number for number in range(9)])
    assert a_stay(alone, "another") == pytest.approx(FIRST_WAIT_SECONDS)


def test_once_it_has_begun_its_waits_are_forgotten() -> None:
    alone = Quarantine()
    a_stay(alone)
    held = a_claim()
    alone.came(held)

    assert alone.begins(BUSY) is None
    assert alone.begins(ALL_ALONE) is held
    held.is_handed_over = True
    assert (alone.begins(ALL_ALONE), alone.goes_back(FOREVER), alone.waits_until) == (None, None, FOREVER)
    alone.left(held)

    assert alone.held is None
    assert a_stay(alone) == pytest.approx(FIRST_WAIT_SECONDS)


def test_another_claim_that_ends_leaves_it_where_it_is() -> None:
    alone, held = Quarantine(), a_claim()
    alone.came(held)

    alone.left(a_claim())

    assert alone.held is held


def test_what_is_remembered_is_bounded() -> None:
    alone = Quarantine()

    for number in range(3 * MOST_REMEMBERED):
        a_stay(alone, str(number))

    assert len(alone._patience) <= MOST_REMEMBERED  # noqa: SLF001
