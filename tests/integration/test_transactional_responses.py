"""From a transactional delivery to its answer."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from harness.events import TENANT_ID, USER_ID, an_event
from harness.stack import wait_until
from surehook import Event, Permanent, Reject, RetryLater
from surehook.events import UserCreate
from surehook.shared.keys import TRANSACTIONAL_QUEUE, Keys
from surehook.shared.settings import Settings
from surehook.workers.handlers.registry import on
from surehook.workers.transactional.executor import TransactionalExecutor
from tests.integration.conftest import KEYS, Counts
from tests.support.endpoint import OpenEndpoint, open_endpoint
from tests.support.ledger import is_balanced, ledger
from tests.support.transactional_client import SHORT_SECONDS, short_transactions
from tests.support.transactions import Protocol

MANY = 16


def add_handler(function: Callable[..., Any], name: str = "check", **terms: Any) -> None:
    on("user.create", name=name, **{"transactional": True, **terms})(function)


def fail(_: Event) -> None:
    raise OSError("mara.lindqvist@example.com is not in the database")


def refuse(event: UserCreate) -> None:
    assert event.user is not None
    raise Reject(f"{event.user.email} may not register")


def test_a_success_is_a_200(decide: Any, store: redis.Redis) -> None:
    seen: list[Event] = []
    add_handler(seen.append)
    event = an_event("user.create")

    response = decide(event)

    assert (response.status_code, response.json()) == (200, {"status": "completed", "eventId": event["id"]})
    assert [str(each.id) for each in seen] == [event["id"]]
    assert ledger(store) == {"open": 0, "accepted": 1, "done": 1}


def test_a_refusal_is_a_422_with_the_handlers_message_and_no_personal_data(decide: Any, store: redis.Redis) -> None:
    add_handler(refuse)
    event = an_event("user.create")

    response = decide(event)

    assert response.status_code == 422
    assert response.json() == {
        "errors": [{"code": "[rejected]", "message": "*** may not register"}],
        "exception": "[rejected] *** may not register",
    }
    assert store.zrange(KEYS.decided("rejected"), 0, -1) == [event["id"].encode()]
    assert is_balanced(store)


@pytest.mark.parametrize(
    "error", [fail, Permanent, RetryLater(3), SystemExit], ids=["any", "Permanent", "RetryLater", "SystemExit"]
)
def test_a_handler_that_raises_is_a_500_that_says_nothing_of_it(decide: Any, error: Any, store: redis.Redis) -> None:
    def handler(event: Event) -> None:
        if error is fail:
            fail(event)
        raise error

    add_handler(handler)
    response = decide(an_event("user.create"))

    assert response.status_code == 500
    assert response.json()["exception"] == "[handlerFailed] a handler failed"
    assert store.zcard("rq:failed:transactional") == 0
    assert store.zcard("rq:scheduled:events") == 0


@short_transactions
def test_no_decision_in_time_is_a_504_and_the_event_never_starts(
    transactional_endpoint: OpenEndpoint,
    transactional_executor: Callable[[], TransactionalExecutor],
    store: redis.Redis,
) -> None:
    seen: list[Event] = []
    add_handler(seen.append)
    event = an_event("user.create")

    began = time.monotonic()
    response = transactional_endpoint.deliver(event)

    assert response.status_code == 504
    assert response.json()["exception"].startswith("[deadlineExceeded]")
    assert time.monotonic() - began >= SHORT_SECONDS
    assert not transactional_executor().run_until_idle(0.01)
    assert (seen, store.llen(Keys().rq_queue(TRANSACTIONAL_QUEUE))) == ([], 0)
    assert ledger(store)["open"] == 0


def test_without_a_live_worker_the_answer_is_503_at_once_and_nothing_is_stored(
    transactional_endpoint: OpenEndpoint, protocol: Protocol, store: redis.Redis
) -> None:
    protocol.leave("worker")

    response = transactional_endpoint.deliver(an_event("user.create"))

    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert ledger(store) == {"open": 0}


def test_the_first_refusal_ends_the_transaction_and_undoes_earlier_successes(
    decide: Any, store: redis.Redis, run_worker: Callable[..., Any]
) -> None:
    calls: list[str] = []
    add_handler(lambda event: calls.append("one"), "one", on_abandoned=lambda event: calls.append("undo one"))
    add_handler(refuse, "two", on_abandoned=lambda event: calls.append("undo two"))
    add_handler(lambda event: calls.append("three"), "three")

    response = decide(an_event("user.create"))
    run_worker(2)

    assert response.status_code == 422
    assert calls == ["one", "undo one"]
    assert store.zcard(KEYS.orphans) == 0
    assert ledger(store)["open"] == 0


def test_other_handlers_run_after_a_success_and_never_after_a_refusal(
    decide: Any, store: redis.Redis, run_worker: Callable[..., Any]
) -> None:
    told: list[str] = []
    add_handler(lambda event: refuse(event) if event.user.email == "no@example.com" else None)
    on("user.create", name="tell")(lambda event: told.append(str(event.id)))
    yes, no = an_event("user.create"), an_event("user.create", user={"id": USER_ID, "email": "no@example.com"})

    assert [decide(event).status_code for event in (yes, no, yes, no)] == [200, 422, 200, 422]
    run_worker(3)

    assert told == [yes["id"]]
    assert ledger(store)["open"] == 0


def test_an_event_without_a_transactional_handler_is_completed(decide: Any) -> None:
    add_handler(refuse, application=USER_ID)

    assert decide(an_event("user.create")).status_code == 200


def test_tenants_differ(decide: Any, transactional_endpoint: OpenEndpoint) -> None:
    on("user.delete", name="check", transactional=True)(refuse)

    theirs, others = an_event(tenantId=USER_ID), an_event(tenantId=TENANT_ID)

    assert decide(theirs).status_code == 422
    assert transactional_endpoint.deliver(others).status_code == 202


def test_a_copy_that_arrives_during_the_decision_gets_the_same_answer(
    transactional_endpoint: OpenEndpoint, transactional_executor: Any, store: redis.Redis
) -> None:
    seen: list[Event] = []
    add_handler(seen.append)
    event = an_event("user.create")
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(transactional_endpoint.deliver, event) for _ in range(4)]
        wait_until(lambda: store.hget(KEYS.transaction(event["id"]), "requests") == b"4", "all wait")
        wait_until(lambda: transactional_executor().run_until_idle(0.05), "it ran")
        assert [answer.result().status_code for answer in answers] == [200] * 4

    assert len(seen) == 1


def test_however_many_wait_one_connection_listens_for_their_answers(
    settings: Settings, protocol: Protocol, transactional_executor: Any, store: redis.Redis
) -> None:
    add_handler(lambda event: None)
    protocol.beat("worker")
    asked = settings.model_copy(update={"transactional_events": ("user.create",), "transaction_timeout": 60})
    room = transactional_executor()
    with open_endpoint(asked) as endpoint, ThreadPoolExecutor(MANY) as pool:
        answers = [pool.submit(endpoint.deliver, an_event("user.create")) for _ in range(MANY)]
        wait_until(lambda: store.llen(Keys().rq_queue(TRANSACTIONAL_QUEUE)) == MANY, "all wait")

        def blocked() -> int:
            clients: Any = store.info("clients")
            assert clients["blocked_clients"] <= 1
            return int(clients["blocked_clients"])

        wait_until(blocked, "one connection listens")
        wait_until(lambda: room.run_until_idle(0.05), "they are decided")
        assert [answer.result().status_code for answer in answers] == [200] * MANY


def test_a_rejected_event_runs_as_committed_on_command(
    decide: Any, protocol: Protocol, run_worker: Callable[..., Any], counts: Counts, store: redis.Redis
) -> None:
    verdicts = [Reject("no"), None]

    def handler(_: Event) -> None:
        if error := verdicts.pop(0):
            raise error

    add_handler(handler)
    event = an_event("user.create")
    assert decide(event).status_code == 422

    assert protocol.replay_committed(event["id"])
    run_worker(1)

    assert counts.runs[-1] == ("check", "done")
    assert ledger(store) == {"open": 0, "accepted": 1, "done": 1}
