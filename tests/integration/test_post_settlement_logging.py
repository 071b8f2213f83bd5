"""A run of a transactional handler is logged and counted once, and not before its outcome is on its way."""

import logging
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import redis

from harness.events import a_body, an_event
from surehook import Event
from surehook.shared.scripts import Script
from surehook.workers.handlers.registry import on
from surehook.workers.transactional.protocol import SCRIPT_NAMES
from tests.integration.conftest import KEYS, Counts
from tests.support.transactions import Protocol

SECONDS = 3.0


class Witness(logging.Filter):
    """Records the state of the transaction in the store at the time of its log line; none, if not settled by then."""

    def __init__(self, store: redis.Redis, event_id: str) -> None:
        super().__init__()
        self._store = store
        self._key = KEYS.transaction(event_id)
        self.seen: list[bytes | str | None] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if record.getMessage() == "handler ran":
            until = time.monotonic() + SECONDS
            while (state := self._store.hget(self._key, "state")) == b"running" and time.monotonic() < until:
                pass
            self.seen.append(state)
        return True


@pytest.fixture
def event_id() -> str:
    return str(an_event()["id"])


@pytest.fixture
def witness(store: redis.Redis, event_id: str, caplog: pytest.LogCaptureFixture) -> Iterator[Witness]:
    caplog.set_level(logging.INFO, "surehook.workers.transactional.unlogged_runs")
    witness = Witness(store, event_id)
    log = logging.getLogger("surehook.workers.transactional.unlogged_runs")
    log.addFilter(witness)
    yield witness
    log.removeFilter(witness)


@pytest.mark.parametrize("stops", [False, True], ids=["and asks for the next", "and stops"])
def test_a_run_is_logged_while_the_store_settles_it(
    stops: bool,
    witness: Witness,
    event_id: str,
    store: redis.Redis,
    protocol: Protocol,
    transactional_executor: Any,
    counts: Counts,
) -> None:
    @on("user.create", name="check", transactional=True)
    def check(event: Event) -> None:
        if stops:
            room.stop()

    room = transactional_executor()
    for name in SCRIPT_NAMES:  # a script that the store does not know is sent again
        store.script_load(Script(name, KEYS).source)
    protocol.beat("worker")
    protocol.submit(event_id, "endpoint")
    store.hset(KEYS.event(event_id), "body", a_body(an_event("user.create", id=event_id)))

    assert room.run_until_idle(0.01) == 1

    assert witness.seen == [b"completed"]
    assert counts.runs == [("check", "done")]


def test_a_run_settled_on_the_second_try_is_logged_once(
    event_id: str,
    store: redis.Redis,
    protocol: Protocol,
    transactional_executor: Any,
    counts: Counts,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cut = partial(store.client_kill_filter, _type="normal", skipme=True)
    on("user.create", name="check", transactional=True)(lambda event: cut())
    room = transactional_executor()
    room.run_until_idle(0.01)
    protocol.beat("worker")
    protocol.submit(event_id, "endpoint")
    store.hset(KEYS.event(event_id), "body", a_body(an_event("user.create", id=event_id)))
    caplog.set_level(logging.INFO, "surehook.workers.transactional.unlogged_runs")

    assert room.run_until_idle(0.01) == 1

    assert [record.getMessage() for record in caplog.records] == ["handler ran"]
    assert counts.runs == [("check", "done")]
    assert store.hget(KEYS.transaction(event_id), "state") == b"completed"
