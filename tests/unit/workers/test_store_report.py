"""Trouble with the store is logged once, and makes a worker not ready if it lasts or cannot cure itself."""

import logging

import pytest
from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import NoPermissionError, ResponseError

from surehook.workers.store_report import LONG_SECONDS, STORE_REFUSES, STORE_UNAVAILABLE, TASK_FAILS, StoreReport

NO_INFO = NoPermissionError("User mara has no permissions to run the 'info' command", status_code="NOPERM")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Shown(set[str]):
    def set_not_ready(self, reason: str, *, is_so: bool) -> None:
        (self.add if is_so else self.discard)(reason)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def report(shown: Shown, clock: Clock, caplog: pytest.LogCaptureFixture) -> StoreReport:
    caplog.set_level(logging.INFO)
    return StoreReport(shown.set_not_ready, clock)


def test_an_outage_is_logged_once_for_all_tasks_and_ends_when_all_succeed(
    report: StoreReport, caplog: pytest.LogCaptureFixture
) -> None:
    for task in ("fetcher", "heartbeat", "fetcher"):
        report.failed(task, StoreConnectionError("a word of the store's"))
    report.succeeded("fetcher")
    report.failed("heartbeat", StoreConnectionError("a word of the store's"))
    report.succeeded("heartbeat")

    assert [(each.levelname, each.message) for each in caplog.records] == [
        ("WARNING", "store unavailable, waiting"),
        ("INFO", "store available again"),
    ]


def test_a_task_that_fails_for_longer_than_a_lease_is_a_reason_not_to_be_ready(
    report: StoreReport, shown: Shown, clock: Clock
) -> None:
    report.failed("heartbeat", StoreConnectionError())
    assert not shown
    clock.now += LONG_SECONDS + 1
    report.failed("fetcher", StoreConnectionError())
    assert shown == {STORE_UNAVAILABLE}
    assert report.reasons() == [STORE_UNAVAILABLE]

    report.succeeded("heartbeat")

    assert not shown
    assert report.reasons() == []


def test_a_refusal_is_an_error_at_once_and_names_the_command_without_the_account(
    report: StoreReport, shown: Shown, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        report.failed("recovery", NO_INFO)

    (record,) = caplog.records
    assert (record.levelname, record.message) == ("ERROR", "store refuses a command")
    assert (record.__dict__["error_type"], record.__dict__["command"]) == ("NOPERM", "INFO")
    assert "mara" not in str(record.__dict__)
    assert shown == {STORE_REFUSES}


def test_a_refusal_during_an_outage_is_logged_too(report: StoreReport, caplog: pytest.LogCaptureFixture) -> None:
    report.failed("fetcher", StoreConnectionError())
    report.failed("fetcher", NO_INFO)

    assert [each.message for each in caplog.records] == ["store unavailable, waiting", "store refuses a command"]


def test_an_error_of_ours_in_a_script_names_the_script(report: StoreReport, caplog: pytest.LogCaptureFixture) -> None:
    report.failed(
        "fetcher", ResponseError("user_script:1: attempt to index a nil value", status_code="ERR"), "exchange"
    )

    (record,) = caplog.records
    assert (record.levelname, record.__dict__["command"]) == ("ERROR", "exchange")


def test_a_task_that_raises_another_error_is_logged_once_and_is_a_reason(
    report: StoreReport, shown: Shown, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        report.broke("sweeper", LookupError("a word of an event"))

    assert [each.message for each in caplog.records] == ["periodic task failed"]
    assert shown == {TASK_FAILS}
    report.succeeded("sweeper")
    assert not shown
