"""Transactional handlers of an event that came as an ordinary one do not run, which is logged and counted."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import redis

from harness.events import TENANT_ID, USER_ID, an_event
from surehook.admin.events import EventLog
from surehook.workers.handlers.registry import on
from tests.integration.conftest import KEYS, Accept, Counts


@pytest.fixture
def ran() -> list[str]:
    ran: list[str] = []
    on("user.*", name="check", transactional=True)(lambda event: ran.append("check"))
    on("user.*", name="tell")(lambda event: ran.append("tell"))
    return ran


@pytest.mark.parametrize("asked", [(), ("user.create",)], ids=["no list at the worker", "no list at the ingest"])
def test_a_skipped_transactional_handler_is_logged_as_an_error_and_counted(
    asked: Sequence[str],
    ran: list[str],
    accept: Accept,
    run_worker: Callable[..., Any],
    counts: Counts,
    caplog: pytest.LogCaptureFixture,
) -> None:
    accept("user.create")

    run_worker(2, asked=asked)

    assert ran == ["tell"]
    assert counts.skipped == [("check", "user.create")]
    (said,) = [record for record in caplog.records if "SUREHOOK_TRANSACTIONAL_EVENTS" in record.getMessage()]
    assert (said.levelname, vars(said)["handler"]) == ("ERROR", "check")


@pytest.mark.parametrize(
    ("event_type", "asked"),
    [
        pytest.param("user.create", (f"{USER_ID}:user.create",), id="listed for another tenant"),
        pytest.param("user.create", ("user.delete",), id="another type of its pattern"),
        pytest.param("user.create.complete", (), id="FusionAuth never waits"),
    ],
)
def test_a_transactional_handler_that_does_not_match_is_skipped_quietly(
    event_type: str,
    asked: Sequence[str],
    ran: list[str],
    accept: Accept,
    run_worker: Callable[..., Any],
    counts: Counts,
) -> None:
    accept(event_type, tenantId=TENANT_ID)

    run_worker(2, asked=asked)

    assert (ran, counts.skipped) == (["tell"], [])


def test_a_replayed_transaction_does_not_count_as_skipped(
    ran: list[str], decide: Any, run_worker: Callable[..., Any], counts: Counts, store: redis.Redis
) -> None:
    event = an_event("user.create")
    assert decide(event).status_code == 200
    run_worker(1, asked=("user.create",))

    assert EventLog(store, KEYS, handler_timeout=30).replay(event["id"])
    run_worker(2, asked=("user.create",))

    assert (ran, counts.skipped) == (["check", "tell", "tell"], [])
