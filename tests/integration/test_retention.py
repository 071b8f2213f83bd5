"""Retention: after `RETENTION` only the ids of closed events are left; dead letters stay."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from harness.events import USER_ID
from harness.stack import wait_until
from surehook import Event, Permanent, on
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.admin.failure_groups import FailureGroups
from surehook.main import cli
from surehook.shared.job_id import packed_id
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script
from surehook.shared.settings import Settings
from tests.integration.conftest import Accept
from tests.support.ledger import is_balanced

# They hold no event: counts, names of queues, and ids of jobs that have gone, until RQ's next look.
STAYS = {
    b"surehook:ledger",
    b"surehook:queues",
    b"surehook:extra-jobs",
    b"rq:queues",
    b"rq:finished:events",
    b"surehook:index-segments",
    b"surehook:index-state",
    b"rq:finished:other",
    b"surehook:audit",
    b"surehook:bulks",
}
KNOWN_IDS = b"surehook:known-ids:"
RunWorker = Callable[..., Any]


def let_all_time_pass(store: redis.Redis) -> None:
    """Expire now every key that has an expiry, and forget what the workers' retention would."""
    Script("forget_groups", Keys()).run(store, 0, 1000)
    for key in store.scan_iter():
        if store.pttl(key) > 0:
            store.pexpire(key, 1)
    wait_until(lambda: all(store.pttl(key) == -1 for key in store.scan_iter()), "what expires is gone")


@pytest.fixture
def lives(accept: Accept, run_worker: RunWorker, make_due: Callable[..., int], store: redis.Redis) -> dict[str, str]:
    """The ids of events with every outcome, by outcome."""

    @on("user.update", name="fails_once", retries=1, backoff=[0])
    def fail_once(event: Event, attempt: Any) -> None:
        if attempt.number == 1:
            raise OSError

    @on("user.delete", name="dies")
    def die(event: Event) -> None:
        raise Permanent

    on("user.create", name="one")(lambda event: None)
    on("user.create", name="two", queue="other")(lambda event: None)
    ids = {
        "retried": accept("user.update"),
        "dead": accept("user.delete"),
        "split": accept("user.create"),
        "unhandled": accept("brand.new-type"),
    }
    run_worker(turns=5)
    run_worker(queue="other")
    make_due()
    run_worker()
    return ids


def test_closed_events_expire_and_dead_letters_stay(
    lives: dict[str, str], store: redis.Redis, dead_letters: DeadLetters
) -> None:
    let_all_time_pass(store)

    dead = lives["dead"]
    left = {key for key in store.scan_iter() if not key.startswith((b"rq:worker", KNOWN_IDS))} - STAYS
    (group,) = FailureGroups(store, Keys()).read()
    assert left == {
        b"surehook:open",
        b"surehook:group-handlers",
        b"surehook:groups:dies",
        f"surehook:group:{group.group_id}".encode(),
        b"rq:failed:events",
        *(
            name.encode() + dead.encode()
            for name in ("surehook:event:", "surehook:attempts:", "rq:job:", "rq:results:")
        ),
    }
    assert [letter.job_id for letter in dead_letters.matching(Filter())] == [dead]
    assert is_balanced(store)


@pytest.mark.parametrize(
    "arguments",
    [["dead-letters", "discard", "--all", "--reason", "old"], ["events", "erase", "--user", USER_ID]],
    ids=["discarded", "erased"],
)
def test_when_everything_is_closed_and_expired_only_ids_are_left(
    arguments: list[str],
    lives: dict[str, str],
    settings: Settings,
    store: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SUREHOOK_DATA_DIR", str(settings.data_dir))
    assert CliRunner().invoke(cli, arguments).exit_code == 0

    let_all_time_pass(store)

    left = {key for key in store.scan_iter() if not key.startswith(b"rq:worker")}
    assert {key for key in left if not key.startswith(KNOWN_IDS)} <= STAYS
    assert {field for key in left - STAYS for field in store.hkeys(key)} == set(map(packed_id, lives.values()))
    assert is_balanced(store)


def test_an_open_event_does_not_expire_however_long_it_waits(
    accept: Accept, run_worker: RunWorker, store: redis.Redis
) -> None:
    on("user.delete", name="it", backoff=[3600])(lambda event: 1 / 0)
    event_id = accept()
    run_worker()

    let_all_time_pass(store)

    assert store.hexists(f"surehook:event:{event_id}", "body")
    assert store.zrange("rq:scheduled:events", 0, -1) == [event_id.encode()]


def test_after_retention_the_id_is_still_known(accept: Accept, run_worker: RunWorker, store: redis.Redis) -> None:
    on("user.delete", name="it")(lambda event: None)
    event_id = accept()
    run_worker()
    accept(id=event_id)
    assert store.llen("rq:queue:events") == 0

    let_all_time_pass(store)
    assert not store.exists(f"surehook:event:{event_id}")
    accept(id=event_id)

    assert store.llen("rq:queue:events") == 0
    assert is_balanced(store)
