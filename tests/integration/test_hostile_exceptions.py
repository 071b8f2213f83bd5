"""Any exception of a handler, and any answer of its backoff, ends its own run and nothing else."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
import redis

from harness.stack import wait_until
from surehook import Event, Permanent, RetryLater, on
from surehook.admin.dead_letters import DeadLetters, Filter
from tests.integration.conftest import Accept, Counts, Open, RunWorker


class Exits(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class NoText(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307 - that is what it is for


class NoNotes(Exception):
    @property
    def __notes__(self) -> list[str]:  # type: ignore[override]
        raise LookupError


class SaysNotWhen(RetryLater):
    def __init__(self) -> None:
        pass


class SaysNever(RetryLater):
    def __init__(self, seconds: Any) -> None:
        self.seconds = seconds


def a_chain() -> Exception:
    error = ValueError(0)
    for number in range(1200):
        later = ValueError(number)
        later.__cause__ = error
        error = later
    return error


def a_nest() -> Exception:
    error: Exception = ValueError(0)
    for _ in range(1200):
        error = ExceptionGroup("group", [error])
    return error


def plain() -> Exception:
    return ValueError("no")


FIVE: Any = [5]


@pytest.mark.parametrize(
    ("error", "backoff", "outcome"),
    [
        pytest.param(a_chain, FIVE, "failed", id="a long chain"),
        pytest.param(a_nest, FIVE, "failed", id="a deep group"),
        pytest.param(Exits, FIVE, "failed", id="its message ends the process"),
        pytest.param(NoText, FIVE, "failed", id="its message is none"),
        pytest.param(NoNotes, FIVE, "failed", id="its notes cannot be read"),
        pytest.param(SaysNotWhen, FIVE, "later", id="later, without when"),
        pytest.param(lambda: SaysNever(float("inf")), FIVE, "later", id="later, without end"),
        pytest.param(lambda: SaysNever(float("nan")), FIVE, "later", id="later, no number"),
        pytest.param(lambda: SaysNever(-9), FIVE, "later", id="earlier"),
        pytest.param(lambda: SaysNever("soon"), FIVE, "later", id="later, in words"),
        pytest.param(plain, lambda _: float("inf"), "failed", id="a backoff without end"),
        pytest.param(plain, lambda _: float("nan"), "failed", id="a backoff that is no number"),
        pytest.param(plain, lambda _: 1e300, "failed", id="a backoff beyond all time"),
        pytest.param(plain, lambda _: -5, "failed", id="a backoff into the past"),
        pytest.param(plain, lambda _: sys.exit(3), "failed", id="a backoff that ends the process"),
    ],
)
def test_the_event_runs_again_and_the_worker_goes_on(
    error: Callable[[], Exception],
    backoff: Any,
    outcome: str,
    accept: Accept,
    open_worker_harness: Open,
    store: redis.Redis,
    counts: Counts,
) -> None:
    @on("user.delete", name="it", backoff=backoff)
    def fail(event: Event) -> None:
        raise error()

    event_id = accept()
    worker_harness = open_worker_harness(threads=1).start()
    wait_until(lambda: counts.runs or worker_harness.fetcher.error, "it has run")
    if worker_harness.fetcher.error is not None:
        worker_harness.fetcher.handoff.put(None)  # no thread of this process claims anything any more
    assert worker_harness.fetcher.error is None

    assert counts.runs == [("it", outcome)]
    due_at = store.zscore("rq:scheduled:events", event_id)
    assert due_at is not None
    assert int(due_at) < 4e9, "a date that RQ's tools can show"


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Permanent(123), id="a number"),
        pytest.param(Permanent(), id="nothing"),
        pytest.param(None, id="odd"),
    ],
)
def test_permanent_accepts_any_arguments(
    error: Permanent | None, accept: Accept, run_worker: RunWorker, dead_letters: DeadLetters
) -> None:
    @on("user.delete", name="it")
    def fail(event: Event) -> None:
        raise error or Permanent(Exits())

    accept()
    run_worker()

    (letter,) = dead_letters.matching(Filter())
    assert letter.error.startswith("Permanent")


def test_an_error_that_cannot_be_shown_is_a_failure_with_its_types_name(
    accept: Accept, run_worker: RunWorker, dead_letters: DeadLetters
) -> None:
    @on("user.delete", name="it", retries=0)
    def fail(event: Event) -> None:
        raise NoNotes

    accept()
    run_worker()

    (letter,) = dead_letters.matching(Filter())
    assert letter.error == "NoNotes"
    assert dead_letters.traceback(letter).startswith("NoNotes")
