import logging

import pytest

from surehook.workers.queue.jobs_without_record import JobsWithoutRecord


def test_jobs_without_an_event_record_are_counted_in_one_line_in_ten_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 100.0
    found = JobsWithoutRecord("events", clock=lambda: now)

    found.report(0)
    found.report(2, ["one", "two"])
    found.report(3, ["three"])
    now += 10
    found.report(1)

    assert [(line.levelno, line.count, line.queue) for line in caplog.records] == [  # type: ignore[attr-defined]
        (logging.ERROR, 2, "events"),
        (logging.ERROR, 4, "events"),
    ]
    assert caplog.records[0].job_id == "one"  # type: ignore[attr-defined]
    assert "SUREHOOK_KEY_PREFIX" in caplog.records[0].reason  # type: ignore[attr-defined]
