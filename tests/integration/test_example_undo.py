"""The example's transactional handler on the production path: an abandoned transaction leaves no reservation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis

from examples.todos import todos, transactional
from harness.events import USER_ID, a_body, an_event
from surehook import Event
from surehook.shared.scripts import text
from surehook.workers.handlers import registry
from surehook.workers.handlers.registry import on
from tests.integration.conftest import KEYS, Counts
from tests.support.transactions import Protocol

TRANSACTIONAL = [handler for handler in registry.declared if handler.function is transactional.reserve_list]
USER = UUID(USER_ID)


@pytest.fixture(autouse=True)
def _example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, _nothing_declared: None) -> None:
    monkeypatch.setenv(todos.DATABASE_VARIABLE, str(tmp_path / "todos.sqlite3"))
    registry.declared.extend(TRANSACTIONAL)


def test_a_list_of_an_abandoned_transaction_is_deleted(
    store: redis.Redis, protocol: Protocol, transactional_executor: Any, run_worker: Callable[..., Any], counts: Counts
) -> None:
    event = an_event("user.create", user={"id": USER_ID, "email": "mara@example.com"})
    reserved: list[list[str]] = []

    @on("user.create", name="late", transactional=True)
    def late(_: Event) -> None:
        reserved.append(todos.of(USER))
        protocol.abandon(event["id"], text(store.hget(KEYS.transaction(event["id"]), "round")))

    protocol.beat("worker")
    protocol.submit(event["id"], "endpoint")
    store.hset(KEYS.event(event["id"]), "body", a_body(event))
    transactional_executor().run_until_idle(0.01)
    assert reserved == [["Look around"]]

    run_worker(1)

    assert counts.runs[-1] == ("reserve_list-abandoned", "done")
    assert todos.of(USER) == []


def test_a_refused_registration_leaves_no_list(decide: Any) -> None:
    response = decide(an_event("user.create", user={"id": USER_ID, "email": "mara@elsewhere.example"}))

    assert response.json()["exception"] == "[rejected] Only addresses of example.com may register"
    assert todos.of(USER) == []
