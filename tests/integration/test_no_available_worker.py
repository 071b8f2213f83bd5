"""A transactional event that no worker can decide is answered immediately, and nothing is stored."""

from typing import Any
from uuid import uuid4

import pytest
import redis

from harness.events import an_event
from harness.stack import wait_until
from surehook.shared.encryption import BodyCipher
from surehook.shared.event_index import IS_FINISHED, TYPE
from surehook.shared.heartbeat import INGEST, WORKER, HeartbeatMessage
from surehook.shared.index_key import IndexKey
from surehook.shared.keys import TRANSACTIONAL_QUEUE, Keys
from surehook.shared.settings import Settings
from surehook.shared.transactional_events import transactional_types
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.handlers.registry import Registry
from surehook.workers.maintenance.transactional_heartbeat import TransactionalHeartbeat
from surehook.workers.queue.index_facts import IndexFacts
from surehook.workers.rq_worker import RQWorkers
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Transaction
from tests.integration.conftest import KEYS
from tests.support.endpoint import OpenEndpoint, open_endpoint
from tests.support.ledger import ledger
from tests.support.transactions import Protocol


def pause(store: redis.Redis) -> None:
    store.sadd(KEYS.paused, TRANSACTIONAL_QUEUE)


def suspend(store: redis.Redis) -> None:
    store.set(Keys().rq_suspended, 1)


@pytest.mark.parametrize("hold", [pause, suspend])
def test_a_paused_queue_accepts_no_transaction(
    transactional_endpoint: OpenEndpoint, store: redis.Redis, hold: Any
) -> None:
    hold(store)

    response = transactional_endpoint.deliver(an_event("user.create"))

    assert (response.status_code, response.json()["exception"]) == (503, "[unavailable] no worker is available")
    assert transactional_endpoint.metric("surehook_deliveries_refused_total", reason="paused") == 1
    assert ledger(store) == {"open": 0}


@pytest.mark.parametrize("hold", [pause, suspend])
def test_a_transaction_submitted_before_the_pause_is_not_started(
    store: redis.Redis, protocol: Protocol, transactional_executor: Any, hold: Any
) -> None:
    protocol.beat("worker")
    event_id = an_event()["id"]
    room = transactional_executor()
    room.run_until_idle(0.01)
    protocol.submit(event_id, "endpoint")
    hold(store)

    assert room.run_until_idle(0.01) == 0

    assert store.lrange(f"rq:queue:{TRANSACTIONAL_QUEUE}", 0, -1) == [event_id.encode()]


@pytest.fixture
def lacking(counts: Any) -> MissingKey:
    return MissingKey(BodyCipher(), lambda _: "elsewhere", counts)


@pytest.fixture
def index_facts(store: redis.Redis) -> IndexFacts:
    return IndexFacts(IndexKey(store, KEYS, BodyCipher()))


@pytest.fixture
def transactional_heartbeat(
    store: redis.Redis, lacking: MissingKey, claims_of: Any, index_facts: IndexFacts
) -> TransactionalHeartbeat:
    return TransactionalHeartbeat(
        store,
        KEYS,
        RQWorkers(store, Keys(), TRANSACTIONAL_QUEUE, ["room.1"]),
        TransactionProtocol(store, KEYS, "worker", "worker"),
        Registry([]),
        HeartbeatMessage(WORKER, "worker", transactional_types(("user.create",)), TRANSACTIONAL_QUEUE),
        lacking,
        claims_of("worker", TRANSACTIONAL_QUEUE),
        index_facts,
        handler_timeout=30,
    )


def test_a_worker_process_learns_the_key_that_addresses_are_hashed_with(
    transactional_heartbeat: TransactionalHeartbeat, index_facts: IndexFacts
) -> None:
    event = Transaction(str(uuid4()), "round", 1.0, "user.create", "", "", b"", received_ms=1)

    transactional_heartbeat.tick()

    assert index_facts.of(event, None, "ada@example.com")[IS_FINISHED - TYPE]  # the facts begin with the type


def test_a_live_worker_process_is_available_on_its_queue_and_listed_by_rq(
    store: redis.Redis, transactional_heartbeat: TransactionalHeartbeat, protocol: Protocol
) -> None:
    transactional_heartbeat.tick()

    assert protocol.submit(an_event()["id"], "endpoint").state == "waiting"
    assert store.smembers(f"rq:workers:{TRANSACTIONAL_QUEUE}") == {b"rq:worker:room.1"}


def test_a_worker_without_the_encryption_key_is_alive_but_unavailable(
    store: redis.Redis, transactional_heartbeat: TransactionalHeartbeat, lacking: MissingKey, protocol: Protocol
) -> None:
    lacking.report(_Met(), "elsewhere")

    transactional_heartbeat.tick()

    assert protocol.submit(an_event()["id"], "endpoint").state == "no_worker"
    assert store.exists(KEYS.alive(WORKER, "worker"))


@pytest.mark.parametrize(
    "stops",
    [
        lambda transactional_heartbeat, lacking: lacking.report(_Met(), "elsewhere"),
        lambda transactional_heartbeat, lacking: transactional_heartbeat.leave(),
    ],
    ids=["it lacks a key", "it takes no more"],
)
def test_a_draining_worker_is_alive_but_ingest_does_not_wait_for_it(
    store: redis.Redis,
    transactional_heartbeat: TransactionalHeartbeat,
    lacking: MissingKey,
    protocol: Protocol,
    stops: Any,
) -> None:
    transactional_heartbeat.tick()
    assert protocol.submit(an_event()["id"], "endpoint").state == "waiting"

    stops(transactional_heartbeat, lacking)
    transactional_heartbeat.tick()

    assert protocol.submit(an_event()["id"], "endpoint").state == "no_worker"
    assert store.exists(KEYS.alive(WORKER, "worker"))  # its running handlers go on


def test_ingest_does_not_wait_for_a_worker_that_shut_down_cleanly(
    transactional_heartbeat: TransactionalHeartbeat, protocol: Protocol
) -> None:
    transactional_heartbeat.start()
    wait_until(lambda: protocol.submit(an_event()["id"], "endpoint").state == "waiting", "it beats")

    transactional_heartbeat.stop()

    assert protocol.submit(an_event()["id"], "endpoint").state == "no_worker"


def test_a_full_backlog_refuses_new_transactions_but_answers_duplicates(
    settings: Settings, store: redis.Redis, protocol: Protocol
) -> None:
    protocol.beat("worker")
    known = an_event("user.create")
    number = protocol.submit(known["id"], "elsewhere").round
    asked = {"transactional_events": ("user.create",), "transaction_timeout": 0.5, "max_backlog": 1}
    with open_endpoint(settings.model_copy(update=asked)) as endpoint:
        response = endpoint.deliver(an_event("user.create"))
        assert (response.status_code, response.headers["retry-after"]) == (503, "5")
        assert endpoint.metric("surehook_deliveries_refused_total", reason="backlog_full") == 1
        assert ledger(store) == {"open": 1, "accepted": 1}

        protocol.abandon(known["id"], number)
        store.zadd(KEYS.open, {"another": 1})
        assert endpoint.deliver(known).status_code == 504
        store.zrem(KEYS.open, "another")

        assert (
            endpoint.deliver(an_event("user.create")).status_code == 504
        )  # there is room again, but no worker decides


def test_a_stopped_endpoint_deregisters(settings: Settings, store: redis.Redis) -> None:
    with open_endpoint(settings.model_copy(update={"transactional_events": ("user.create",)})):
        wait_until(lambda: store.zcard(f"{KEYS.prefix}:alive:{INGEST}") == 1, "it beats")

    assert not list(store.scan_iter(f"{KEYS.prefix}:alive:{INGEST}*"))


def test_an_endpoint_and_workers_with_different_lists_both_log_it_even_if_one_list_is_empty(
    settings: Settings, transactional_heartbeat: TransactionalHeartbeat, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> set[tuple[str, str, str]]:
        said = [vars(record) for record in caplog.records if "disagree" in record.getMessage()]
        return {(facts["levelname"], facts["ingest_has"], facts["worker_has"]) for facts in said}

    transactional_heartbeat.tick()
    with open_endpoint(settings):
        wait_until(told, "the endpoint detects the worker")
        assert told() == {("ERROR", "none", "user.create")}
        caplog.clear()
        transactional_heartbeat.tick()
        assert told() == {("ERROR", "none", "user.create")}


def test_an_endpoint_without_a_worker_logs_what_to_start(
    transactional_endpoint: OpenEndpoint, protocol: Protocol, caplog: pytest.LogCaptureFixture
) -> None:
    protocol.leave("worker")

    for _ in range(3):
        assert transactional_endpoint.deliver(an_event("user.create")).status_code == 503

    (record,) = [record for record in caplog.records if record.getMessage() == "transactional workers missing"]
    assert record.levelname == "ERROR"
    assert "surehook worker" in vars(record)["reason"]
    assert "SUREHOOK_TRANSACTIONAL_EVENTS" in vars(record)["reason"]


class _Met:
    """An event that could not be decrypted."""

    event_id = "an event"
    queue = TRANSACTIONAL_QUEUE
