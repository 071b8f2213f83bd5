"""Handlers get an event of its type's class, from a worker on a real store."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from surehook import Event, on
from surehook.events import UserDelete
from tests.integration.conftest import Accept, Counts


def test_a_handler_gets_its_types_class(accept: Accept, run_worker: Callable[..., Any], counts: Counts) -> None:
    got: list[Event] = []

    @on("user.delete", name="it")
    def handler(event: UserDelete) -> None:
        got.append(event)

    accept("user.delete")
    run_worker()

    (event,) = got
    assert isinstance(event, UserDelete)
    assert counts.untyped == []


def test_a_body_that_fits_no_model_is_handled_counted_and_told_of_without_its_values(
    accept: Accept, run_worker: Callable[..., Any], counts: Counts, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[Event] = []

    @on("user.delete", name="it")
    def handler(event: Event) -> None:
        got.append(event)

    accept("user.delete", user={"email": "mara.lindqvist@example.com", "birthDate": "3rd of August"})
    with caplog.at_level(logging.WARNING):
        run_worker()

    (event,) = got
    assert type(event) is Event
    assert event["user"].birth_date == "3rd of August"
    assert (counts.runs, counts.untyped) == ([("it", "done")], ["user.delete"])
    (record,) = caplog.records
    assert record.__dict__["fields"] == "user.birthDate"
    assert "August" not in str(record.__dict__)
    assert "mara" not in str(record.__dict__)
