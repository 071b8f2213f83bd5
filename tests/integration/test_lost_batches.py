"""A packet with the outcomes of a batch and the claims of the next gets through, and its replies are lost."""

from collections.abc import Callable, Iterator

import pytest
import redis

from harness.stack import DEADLINE_SECONDS, wait_until
from surehook.shared.keys import TRANSACTIONAL_QUEUE, Keys
from surehook.workers.transactional import fetching
from surehook.workers.transactional.transaction import Transaction
from tests.integration.conftest import Counts
from tests.support.claiming import SingleClaims
from tests.support.ledger import is_balanced
from tests.support.transaction_pool import (
    FIRST,
    SLOTS,
    WORKER,
    RecordingExchange,
    TransactionPool,
    nothing,
    stay_fast,
)
from tests.support.transactional_client import LONG
from tests.support.transactions import KEYS, Protocol

# A claim must be found without another event that wakes a worker: the test waits for less than that.
WAIT_SECONDS = 2 * DEADLINE_SECONDS


class LosesReplies(RecordingExchange):
    """Loses the connection once, when the store has done all that the first packet for all slots asked for."""

    step = ""
    has_lost: list[str]

    def read_final_outcomes(self) -> list[str | redis.ResponseError]:
        self._lose("outcomes")
        return super().read_final_outcomes()

    def read_claims(self) -> list[Transaction | redis.ResponseError | None]:
        self._lose("claims")
        return super().read_claims()

    def _lose(self, step: str) -> None:
        if step == self.step and len(self._claiming) == SLOTS and not self.has_lost:
            self.has_lost.append(step)
            names = [f"{WORKER}-{number}" for number in range(SLOTS)]
            store = self._store
            wait_until(lambda: None not in store.mget(map(KEYS.run_of, names)), "the store has claimed for all")
            store.delete(KEYS.wake_up)
            self._connection.close()
            raise redis.ConnectionError

    def __init__(self, store: redis.Redis, keys: Keys, process: str) -> None:
        super().__init__(store, keys, process)
        self._store = store


@pytest.fixture(params=["outcomes", "claims"])
def pool(
    request: pytest.FixtureRequest,
    store: redis.Redis,
    claims_of: Callable[..., SingleClaims],
    counts: Counts,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[TransactionPool]:
    class Loses(LosesReplies):
        step = request.param
        has_lost: list[str] = []  # noqa: RUF012 - shared by the threads

    monkeypatch.setattr(fetching, "WAIT_SECONDS", WAIT_SECONDS)
    stay_fast(monkeypatch)
    protocol = Protocol(store, LONG)
    pool = TransactionPool(store, protocol, claims_of(WORKER, TRANSACTIONAL_QUEUE), counts, Loses)
    yield pool
    pool.stop()
    store.rpush(KEYS.wake_up, *[""] * SLOTS)
    pool.close()
    assert Loses.has_lost


@pytest.mark.parametrize("threads", [1, 2, SLOTS])
def test_every_event_of_a_batch_in_a_lost_packet_is_run_once_and_in_time(
    threads: int, pool: TransactionPool, store: redis.Redis
) -> None:
    events = pool.submit(*[nothing] * (FIRST + SLOTS))

    pool.start(threads)
    pool.wait_until_decided(*events)

    notified = [event_id for event_id, _, _ in pool.protocol.notifications("endpoint")]
    assert sorted(notified) == sorted(pool.ran) == sorted(event.id for event in events)
    assert [store.llen(KEYS.attempts(event.id)) for event in events] == [1] * len(events)
    assert pool.confirm(*events) == [("completed", "")] * len(events)
    assert pool.held() == []
    assert is_balanced(store)
