"""The test kit and a worker give the same result for a handler."""

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis

from surehook import Attempt, Event, Permanent, RetryLater, on
from surehook.shared.models import event_from
from surehook.testing import deliver
from tests.integration.conftest import Accept, Counts


def returns(event: Event) -> None: ...


async def waits(event: Event, attempt: Attempt) -> None:
    await asyncio.sleep(0)


def raises(event: Event) -> None:
    raise OSError


def gives_up(event: Event) -> None:
    raise Permanent


def hangs(event: Event) -> None:
    for _ in range(200):  # each of its steps is short: a thread inside of a C call cannot be stopped
        threading.Event().wait(0.05)


def puts_off_once(event: Event, attempt: Attempt) -> None:
    if attempt.number == 1:
        raise RetryLater(0)


def succeeds_at_last(event: Event, attempt: Attempt) -> None:
    if attempt.number < 3:
        raise OSError


@pytest.mark.parametrize(
    "function",
    [returns, waits, raises, gives_up, hangs, puts_off_once, succeeds_at_last],
    ids=lambda each: each.__name__,
)
def test_the_kit_and_a_worker_agree(
    function: Callable[..., Any],
    accept: Accept,
    run_worker: Callable[..., Any],
    make_due: Callable[..., int],
    store: redis.Redis,
    counts: Counts,
) -> None:
    timeout = 0.1 if function is hangs else 30  # a busy machine needs more for any other
    on("user.delete", name="it", retries=2, backoff=[0], timeout=timeout)(function)
    event_id = accept("user.delete")
    body = store.hget(f"surehook:event:{event_id}", "body")
    assert isinstance(body, bytes)

    told = deliver(event_from(event_id, body), function)["it"]
    for _ in told:
        run_worker()
        make_due()

    assert counts.runs == [("it", "dead letter" if ran.is_dead_letter else ran.outcome) for ran in told]
    records = [json.loads(record) for record in store.lrange(f"surehook:attempts:{event_id}", 0, -1)]
    assert len(records) == len(told)
