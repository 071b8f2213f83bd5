"""When one thread of a process works for all, and when it shares the work."""

import time

import pytest

from surehook.workers.transactional import executor as executor_module
from surehook.workers.transactional.pool import (
    FAST_SECONDS,
    HIGHEST,
    LONG_SECONDS,
    LONGEST_BATCH_SECONDS,
    SLOW_COSTS,
    STAYS_FAST,
)
from tests.integration.test_transaction_batches import Open, open_pool
from tests.support.transaction_pool import nothing, stay_fast

__all__ = ["open_pool"]


def test_no_outcome_waits_for_the_rest_of_a_batch_that_takes_long(
    open_pool: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    stay_fast(monkeypatch)
    monkeypatch.setattr(executor_module, "LONGEST_BATCH_SECONDS", LONGEST_BATCH_SECONDS)
    pool = open_pool()
    is_decided: list[bool] = []
    first, *_ = pool.submit_batch(
        lambda: time.sleep(2 * LONGEST_BATCH_SECONDS),
        lambda: is_decided.append(pool.is_decided(first)),
        nothing,
        nothing,
    )

    pool.run_in_this_thread()

    assert is_decided == [True]


@pytest.mark.parametrize(
    ("count", "seconds"),
    [((HIGHEST - STAYS_FAST) // SLOW_COSTS + 1, 2 * FAST_SECONDS), (1, LONG_SECONDS)],
    ids=["several slow handlers", "one that takes long"],
)
def test_slow_handlers_let_all_threads_work(open_pool: Open, count: int, seconds: float) -> None:
    pool = open_pool()
    is_fast: list[bool] = []
    pool.submit(*[lambda: time.sleep(seconds)] * count, lambda: is_fast.append(pool.pool.is_fast))

    pool.run_in_this_thread()

    assert is_fast == [False]
