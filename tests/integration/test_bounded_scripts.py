"""A script does little work, however many jobs wait, because the store answers no other client while it runs."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
import redis
from rq.job import Job
from rq.serializers import JSONSerializer

from surehook import RetryLater
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.admin.erasure import Erased, Erasure
from surehook.admin.failure_groups import FailureGroups
from surehook.shared.limits import Limits
from surehook.shared.scripts import Script
from surehook.workers.handlers import registry as registry_module
from surehook.workers.handlers.registry import Registry
from surehook.workers.maintenance import limited_queues
from surehook.workers.maintenance.limited_queues import FormerQueues, LimitedQueues
from surehook.workers.maintenance.lines import Lines
from tests.integration.conftest import KEYS, Accept, Erase
from tests.support.ledger import is_balanced
from tests.support.limited import QUEUE, put
from tests.support.mirror import Mirror, deferred, left

__all__ = ["put"]  # a fixture of tests.support


def test_no_waiting_event_of_an_erased_user_runs_because_the_one_before_it_is_erased(
    accept: Accept, run_worker: Any, erase: Erase, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = Mirror()
    first, *_ = (accept("user.update") for _ in range(20))
    mirror.fails[first] = RetryLater(600)
    run_worker(turns=40)
    assert len(deferred(store)) == 19
    erase_many = Erasure.erase_many

    def slowly(self: Erasure, event_ids: Sequence[str], user_id: str = "") -> Iterator[Erased]:
        for event_id in event_ids:
            yield from erase_many(self, [event_id], user_id)
            run_worker(turns=1)

    monkeypatch.setattr(Erasure, "erase_many", slowly)

    assert erase()[1].startswith("20 events erased")

    assert mirror.ran == [first]
    assert left(store) == deferred(store) == []
    assert is_balanced(store)


def a_line_with_jobs_without_records(
    mirror: Mirror, accept: Accept, run_worker: Any, store: redis.Redis
) -> tuple[str, str]:
    """The first event of the line will be retried, the last waits behind 500 jobs that were deleted by hand."""
    first, last = accept("user.update"), accept("user.update")
    mirror.fails[first] = RetryLater(600)
    run_worker(turns=5)
    (line,) = left(store)
    store.zadd(line, {f"{uuid4()}_mirror": 1.5 for _ in range(500)})
    return first, last


def test_a_line_with_many_jobs_whose_records_are_gone_goes_on_with_the_next_claims(
    accept: Accept, run_worker: Any, store: redis.Redis
) -> None:
    mirror = Mirror()
    first, last = a_line_with_jobs_without_records(mirror, accept, run_worker, store)
    (line,) = left(store)

    discarded = Script("erase", KEYS).run(store, first, "", 60)

    assert discarded[0] == b"erased"
    assert store.zcard(line) > 250  # the store answers others in between
    run_worker(turns=5)
    assert mirror.ran == [first, last]
    assert left(store) == deferred(store) == []
    assert is_balanced(store)


def test_the_sweep_lets_such_a_line_go_on_where_nothing_is_claimed(
    accept: Accept, run_worker: Any, store: redis.Redis
) -> None:
    first, last = a_line_with_jobs_without_records(Mirror(), accept, run_worker, store)
    Script("erase", KEYS).run(store, first, "", 60)

    for _ in range(3):
        Lines(store, KEYS).mend(["events"])

    assert store.lrange("rq:queue:events", 0, -1) == [f"{last}_mirror".encode()]
    assert store.zcard(KEYS.waiting_lines) == 0


def test_many_due_retries_of_several_limited_queues_are_queued_a_few_at_a_time(
    store: redis.Redis, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited_queues, "DUE_AT_ONCE", 4)
    event_ids = put(9)
    store.delete(f"rq:queue:{QUEUE}")
    store.zadd(f"rq:scheduled:{QUEUE}", {f"{event_id}_it": 0 for event_id in event_ids})
    limits = Limits(concurrency=1)
    queues = LimitedQueues(store, KEYS, {"events.other": limits, QUEUE: limits}, 30)

    one_call = Script("tend_limited", KEYS).run(store, 4, "30", "events.other", limits.packed(), QUEUE, limits.packed())

    assert one_call == [[QUEUE.encode()], 1]
    assert store.llen(f"rq:queue:{QUEUE}") == 2
    assert queues.tend() == [QUEUE]
    assert store.llen(f"rq:queue:{QUEUE}") == 9


def test_a_long_queue_of_a_handler_without_limits_is_moved_in_parts(
    store: redis.Redis, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited_queues, "MOVED_AT_ONCE", 2)
    monkeypatch.setattr(limited_queues, "MOST_MOVED", 6)
    put(7)
    former = FormerQueues(store, KEYS, Registry(registry_module.declared), handler_timeout=30)

    assert [former.drain(), former.drain(), former.drain()] == [{QUEUE: 6}, {QUEUE: 1}, {}]
    assert store.llen("rq:queue:events") == 7
    assert is_balanced(store)


def test_cancelled_jobs_of_other_applications_hide_none_of_ours(
    accept: Accept, look: Any, dead_letters: DeadLetters, store: redis.Redis
) -> None:
    event_id = accept()
    store.zadd(KEYS.rq_canceled("events"), {f"theirs-{number}": 0 for number in range(1_500)})

    Job.fetch(event_id, connection=store, serializer=JSONSerializer).cancel()

    assert look() == []
    assert [letter.job_id for letter in dead_letters.matching(Filter())] == [event_id]
    assert store.zcard(KEYS.rq_canceled("events")) == 1_500
    assert is_balanced(store)


def test_groups_without_dead_letters_are_read_without_a_look_into_every_queue(store: redis.Redis) -> None:
    store.sadd(KEYS.queues, *(f"q{number}" for number in range(20)))
    store.sadd(KEYS.group_handlers, "it")
    store.zadd(KEYS.groups("it"), {f"{number:09x}": number for number in range(300)})
    store.config_resetstat()

    assert FailureGroups(store, KEYS).read() == []
    Script("forget_groups", KEYS).run(store, 0, 1000)

    calls: Any = store.info("commandstats")
    assert calls.get("cmdstat_zcount", {"calls": 0})["calls"] < 100


def test_old_groups_are_forgotten_a_few_at_a_time(store: redis.Redis) -> None:
    store.sadd(KEYS.group_handlers, "it")
    store.zadd(KEYS.groups("it"), {f"{number:09x}": number for number in range(5)})
    forget = Script("forget_groups", KEYS)

    assert [forget.run(store, 0, 2) for _ in range(4)] == [2, 2, 1, 0]

    assert not list(store.scan_iter(f"{KEYS.prefix}:group*"))
