"""Any message of a refusal reaches the client, and none ends a thread."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from harness.events import USER_ID, an_event
from surehook import Event, Reject
from surehook.events import UserCreate
from surehook.workers.handlers.registry import on
from surehook.workers.transactional.transaction import Transaction
from tests.integration.conftest import KEYS
from tests.support.ledger import is_balanced
from tests.support.run_context import TestContext


def add_handler(function: Callable[..., Any], **terms: Any) -> None:
    on("user.create", name="check", transactional=True, **terms)(function)


class Bare(Reject):
    """A user's own, which hands no words on."""

    def __init__(self) -> None: ...


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(Reject(ValueError("no such plan")), "no such plan", id="an exception"),
        pytest.param(Reject(None), "None", id="None"),
        pytest.param(Reject("no \ud800 here"), "no ? here", id="half a surrogate pair"),
        pytest.param(Reject("one\ntwo \x1b[2J\x00."), "one two  [2J .", id="control characters"),
        pytest.param(Reject("  a b  "), "  a b  ", id="spaces"),
        pytest.param(Bare(), "", id="a subclass without words"),
    ],
)
def test_a_refusal_may_have_any_message(decide: Any, error: Reject, words: str) -> None:
    def handler(_: Event) -> None:
        raise error

    add_handler(handler)
    response = decide(an_event("user.create"))

    assert (response.status_code, response.json()["exception"]) == (422, f"[rejected] {words}".strip())
    assert response.json()["errors"][0].get("message", "") == words


def test_a_message_with_text_from_a_client_ends_no_thread(transactional_executor: Any) -> None:
    def handler(event: UserCreate) -> None:
        assert event.user is not None
        raise Reject(f"{event.user.first_name} may not register")

    add_handler(handler)
    event = an_event("user.create", user={"id": USER_ID, "firstName": "\ud800\n"})
    body = json.dumps({"event": event}).encode()

    outcome = transactional_executor().decider.decide(
        Transaction(event["id"], "r", 5, "user.create", "", "", body, read_at=time.monotonic()), TestContext()
    )

    assert (outcome.outcome, outcome.reason) == ("rejected", "?  may not register")


def test_a_strange_message_object_is_a_500_and_ends_no_thread(
    decide: Any, store: redis.Redis, run_worker: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    undone: list[str] = []

    def handler(_: Event) -> None:
        strange: Any = Reject("no")
        strange.message = object()
        raise strange

    add_handler(handler, on_abandoned=lambda event: undone.append(str(event.id)))
    event = an_event("user.create")

    assert decide(event).status_code == 500

    run_worker(1)
    assert undone == [event["id"]]
    assert store.zrange(KEYS.orphans, 0, -1) == [event["id"].encode()]
    assert is_balanced(store)
    assert "transaction failed with an internal error" in [record.getMessage() for record in caplog.records]
