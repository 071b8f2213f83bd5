"""How long a quarantined job waits in a busy process."""

from typing import Any

import pytest

from surehook.workers.claim import Claim
from surehook.workers.queue.quarantine import FIRST_WAIT_SECONDS, MOST_REMEMBERED, Quarantine
from surehook.workers.queue.threads import FOREVER, JobInProgress

ALONE = 1
BUSY = 2


def a_claim(job_id: str = "a") -> JobInProgress:
    facts: Any = {"event_type": "", "tenant_id": "", "application_ids": "", "body": b"", "handler_name": ""}
    claim = Claim("events", job_id, "token", runs=2, spent=0, interruptions=1, **facts)
    return JobInProgress(claim, slot=0, received_at=100.0, start_by=FOREVER)


def a_stay(quarantine: Quarantine, job_id: str = "a") -> float:
    """The seconds it waits this time, until it is given back."""
    job = a_claim(job_id)
    quarantine.admit(job)
    until = quarantine.waits_until
    assert quarantine.expel_if_due(until - 0.01) is None
    assert quarantine.expel_if_due(until) is job
    quarantine.remove(job)
    return until - job.received_at


def test_each_time_it_comes_again_it_waits_twice_as_long() -> None:
    quarantine = Quarantine()

    waits = [a_stay(quarantine) for _ in range(9)]

    assert waits == pytest.approx([FIRST_WAIT_SECONDS * 2**number for number in range(9)])
    assert a_stay(quarantine, "another") == pytest.approx(FIRST_WAIT_SECONDS)


def test_a_started_job_starts_over_with_the_first_wait() -> None:
    quarantine = Quarantine()
    a_stay(quarantine)
    job = a_claim()
    quarantine.admit(job)

    assert quarantine.release_if_alone(BUSY) is None
    assert quarantine.release_if_alone(ALONE) is job
    job.is_handed_over = True
    assert (quarantine.release_if_alone(ALONE), quarantine.expel_if_due(FOREVER), quarantine.waits_until) == (
        None,
        None,
        FOREVER,
    )
    quarantine.remove(job)

    assert quarantine.job is None
    assert a_stay(quarantine) == pytest.approx(FIRST_WAIT_SECONDS)


def test_another_finished_job_does_not_remove_it() -> None:
    quarantine, job = Quarantine(), a_claim()
    quarantine.admit(job)

    quarantine.remove(a_claim())

    assert quarantine.job is job


def test_remembered_waits_are_bounded() -> None:
    quarantine = Quarantine()

    for number in range(3 * MOST_REMEMBERED):
        a_stay(quarantine, str(number))

    assert len(quarantine._wait_seconds) <= MOST_REMEMBERED  # noqa: SLF001
