"""A store at its `maxmemory`: commands that free memory go on, those that need more are refused."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from redis.exceptions import OutOfMemoryError

from harness.stack import wait_until
from surehook import on
from surehook.admin.dead_letters import Filter
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from surehook.workers.rq_worker import RQWorkers
from surehook.workers.store_report import StoreReport
from tests.integration.conftest import Accept, Open
from tests.integration.test_dashboard_acts import token_in
from tests.integration.test_leases import an_attempt, let_lapse, recover
from tests.support.dashboard import site_client
from tests.support.ledger import is_balanced, ledger

MEBIBYTE = 1024 * 1024
Fill = Callable[[], None]


@pytest.fixture
def fill(store: redis.Redis) -> Iterator[Fill]:
    """From now on the store has no room."""

    def fill() -> None:
        # The store frees what an earlier test left in the background.
        wait_until(lambda: store.info("memory")["lazyfree_pending_objects"] == 0, "no memory will be freed")
        store.config_set("maxmemory", store.info("memory")["used_memory"] - MEBIBYTE)
        with pytest.raises(OutOfMemoryError):
            store.set("more", "bytes")

    yield fill
    store.config_set("maxmemory", 0)


def test_workers_empty_a_full_store(accept: Accept, open_worker_harness: Open, fill: Fill, store: redis.Redis) -> None:
    on("user.delete", name="it")(lambda event: None)
    on("user.delete", name="other")(lambda event: None)
    for number in range(50):
        accept(number=number)
    fill()

    open_worker_harness(threads=2).start()

    wait_until(lambda: ledger(store).get("done") == 50, "all have run and are settled")
    with pytest.raises(OutOfMemoryError):
        accept(number=50)
    assert is_balanced(store)


def test_leases_recovery_and_retries_go_on_in_a_full_store(
    accept: Accept, claims_of: Any, fill: Fill, store: redis.Redis
) -> None:
    for _ in range(3):
        accept()
    running, fails, lapses = claims_of().claim(), claims_of().claim(), claims_of("dead").claim()
    let_lapse(store, lapses)
    fill()

    assert claims_of().renew([running.key]) == []
    assert recover(claims_of(), store) == ["requeued"]
    assert claims_of().retry(fails, an_attempt(), "tb", delay_seconds=0, spends_retry=True)
    assert claims_of().promote_due() == 1
    assert is_balanced(store)


def test_a_dead_letter_is_discarded_and_a_user_erased_in_a_full_store(
    accept: Accept, claims_of: Any, dead_letters: Any, erase: Any, fill: Fill, store: redis.Redis
) -> None:
    accept()
    accept()
    assert claims_of().bury(claims_of().claim(), an_attempt(), "tb")
    fill()

    assert dead_letters.discard(next(dead_letters.matching(Filter())))
    assert erase()[0] == 0
    assert is_balanced(store)


def test_a_page_says_that_the_store_is_full(fill: Fill, settings: Settings) -> None:
    client = site_client(settings)
    form = {"token": token_in(client), "verb": "replay"}
    fill()

    answer = client.post("/actions", data=form)

    assert answer.status_code == 507
    assert "The store is out of memory" in answer.text
    assert "is away" not in answer.text


def test_a_worker_starts_and_lives_on_a_full_store_and_is_shown_once_there_is_room(
    fill: Fill, store: redis.Redis
) -> None:
    fill()
    rq_workers = RQWorkers(store, Keys(), "events", ["w.1"])

    assert rq_workers.register_when_available([], StoreReport())
    rq_workers.heartbeat()
    assert not store.smembers("rq:workers")
    store.config_set("maxmemory", 0)
    rq_workers.heartbeat()

    assert store.smembers("rq:workers") == {b"rq:worker:w.1"}


def test_an_event_without_a_job_is_queued_again_in_a_full_store(
    accept: Accept, look: Callable[[], list[str]], fill: Fill, store: redis.Redis
) -> None:
    event_id = accept()
    store.delete("rq:queue:events", f"rq:job:{event_id}")
    fill()

    assert look() == [event_id]
    assert look() == []
