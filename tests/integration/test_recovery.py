"""An expired lease proves a death once every live worker could have renewed; a clock change proves none."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from harness.stack import wait_until
from surehook.shared.embedded import socket_path
from surehook.workers.queue.claims import LEASE_SECONDS, Claims
from surehook.workers.supervisor.recovery import Recovery
from surehook.workers.supervisor.store_health import StoreHealth
from tests.integration.conftest import KEYS, Accept, Counts
from tests.integration.test_leases import NO_HANDLERS, let_lapse


class Clocks(redis.Redis):
    """The store's clock and this machine's, both moved by the test."""

    now = 1_000.0
    store_is_ahead = 0.0

    def __call__(self) -> float:
        return self.now

    def time(self) -> tuple[int, int]:  # type: ignore[override] # theirs is for both kinds of client
        return int(1_800_000_000 + self.now + self.store_is_ahead), 0


@pytest.fixture
def clocks(store: redis.Redis, data_dir: Path) -> Iterator[Clocks]:
    wait_until(lambda: store.info("server")["uptime_in_seconds"] > LEASE_SECONDS, "the store is up for a lease's time")
    with Clocks(unix_socket_path=str(socket_path(data_dir)), protocol=2) as clocks:
        yield clocks


@pytest.fixture
def tick(clocks: Clocks, counts: Counts) -> Callable[..., None]:
    claims = Claims(clocks, KEYS, "events", "parent", retention_seconds=3600, handler_timeout=30)
    interrupted: Any = counts
    health = StoreHealth(clocks)
    recovery = Recovery(clocks, KEYS, lambda _: claims, ["events"], NO_HANDLERS, interrupted, health)

    def tick(times: int = 1) -> None:
        """Tick `times` times, a second apart."""
        for _ in range(times):
            clocks.now += 1
            health.before_tick()
            recovery.tick()
            health.after_tick(is_available=True)

    return tick


def waiting(store: redis.Redis) -> int:
    return int(store.llen("rq:queue:events"))


def test_an_expired_lease_is_recovered_only_once_every_worker_could_have_renewed(
    accept: Accept, claims_of: Any, tick: Callable[..., None], counts: Counts, store: redis.Redis
) -> None:
    accept()
    let_lapse(store, claims_of("silent").claim())

    tick(times=int(LEASE_SECONDS))
    assert waiting(store) == 0
    tick(times=2)

    assert waiting(store) == 1
    assert counts.discarded == 1


def test_a_step_of_the_stores_clock_counts_no_worker_as_dead(
    accept: Accept, claims_of: Any, clocks: Clocks, tick: Callable[..., None], store: redis.Redis
) -> None:
    accept()
    accept()
    tick(times=int(LEASE_SECONDS) + 2)
    alive, dead = claims_of("alive").claim(), claims_of("dead").claim()

    clocks.store_is_ahead = 30.0
    for claim in (alive, dead):  # to the new clock both are over
        store.zadd(KEYS.leases("events"), {claim.key: 1})
    tick(times=3)
    assert waiting(store) == 0
    store.zrem(KEYS.leases("events"), alive.key)
    store.zadd(KEYS.leases("events"), {alive.key: clocks.time()[0] * 1000 + 15_000})  # as it renews
    tick(times=int(LEASE_SECONDS))

    assert waiting(store) == 1
    assert store.zscore(KEYS.leases("events"), alive.key)
