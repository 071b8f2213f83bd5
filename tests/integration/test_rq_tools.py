"""RQ's own tools on our jobs do what an operator expects, or are refused: cancel, delete, stop, a stock worker."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import redis
from rq import SimpleWorker
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation
from rq.job import Job
from rq.serializers import DefaultSerializer, JSONSerializer

from surehook import on
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.shared.scripts import texts
from surehook.workers.maintenance.rq_tools import MOST_GIVEN_BACK
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_leases import an_attempt
from tests.support.claiming import SingleClaims
from tests.support.ledger import is_balanced, ledger
from tests.support.transactions import Protocol, jump

ClaimsOf = Callable[..., SingleClaims]
Look = Callable[[], list[str]]
SERIALIZERS = pytest.mark.parametrize("serializer", [JSONSerializer, DefaultSerializer], ids=["json", "pickle"])


def the_job(store: redis.Redis, job_id: str) -> Job:
    return Job.fetch(job_id, connection=store, serializer=JSONSerializer)


def let_stock_worker_run(store: redis.Redis, serializer: Any, queue: str = "events") -> None:
    SimpleWorker([queue], connection=store, serializer=serializer).work(burst=True, logging_level="CRITICAL")


def test_a_running_job_has_one_execution(accept: Accept, claims_of: ClaimsOf, store: redis.Redis) -> None:
    event_id = accept()
    claim = claims_of().claim()
    assert claim is not None

    (execution,) = the_job(store, event_id).get_executions()

    assert (execution.id, execution.job_id) == (claim.token, event_id)
    assert claims_of().finish(claim, "done", an_attempt())
    assert the_job(store, event_id).get_executions() == []
    assert not list(store.scan_iter("rq:execution*"))


@pytest.mark.parametrize("tool", [Job.cancel, Job.delete], ids=["cancel", "delete"])
def test_a_running_job_that_is_cancelled_or_deleted_finishes(
    tool: Callable[[Job], object], accept: Accept, claims_of: ClaimsOf, look: Look, store: redis.Redis
) -> None:
    event_id = accept()
    claim = claims_of().claim()
    assert claim is not None

    tool(the_job(store, event_id))
    assert (look(), store.zcard("rq:failed:events")) == ([], 0)
    assert claims_of().finish(claim, "done", an_attempt())
    assert look() == []

    assert the_job(store, event_id).get_status() == "finished"
    assert store.zcard("rq:canceled:events") == store.zcard("rq:failed:events") == 0
    assert not list(store.scan_iter("rq:execution*"))
    assert ledger(store) == {"open": 0, "accepted": 1, "done": 1}


def _wait(claims: SingleClaims) -> None:
    pass


def _schedule(claims: SingleClaims) -> None:
    claim = claims.claim()
    assert claim is not None
    claims.retry(claim, an_attempt(), "tb", delay_seconds=60, spends_retry=True)


def _bury(claims: SingleClaims) -> None:
    claim = claims.claim()
    assert claim is not None
    claims.bury(claim, an_attempt(), "tb")


@pytest.mark.parametrize("bring", [_wait, _schedule, _bury], ids=["waiting", "scheduled", "dead"])
def test_a_cancelled_job_is_a_dead_letter_that_says_so(
    bring: Callable[[SingleClaims], None],
    accept: Accept,
    claims_of: ClaimsOf,
    look: Look,
    dead_letters: DeadLetters,
    store: redis.Redis,
) -> None:
    event_id, other = accept(), accept()
    bring(claims_of())

    the_job(store, event_id).cancel()

    for _ in range(2):
        assert look() == []
        (letter,) = dead_letters.matching(Filter())
        assert letter.job_id == event_id
        assert letter.error.startswith("cancelled with RQ's tools")
    assert store.zcard("rq:canceled:events") == 0
    claim = claims_of("next").claim()
    assert claim is not None
    assert claim.event_id == other
    assert claims_of("next").claim() is None
    assert is_balanced(store)
    assert dead_letters.replay(letter)
    assert claims_of("next").claim() is not None


def test_a_job_that_is_cancelled_while_it_runs_is_not_retried(
    accept: Accept, claims_of: ClaimsOf, look: Look, dead_letters: DeadLetters, store: redis.Redis
) -> None:
    event_id = accept()
    claim = claims_of().claim()
    assert claim is not None
    the_job(store, event_id).cancel()

    claims_of().retry(claim, an_attempt(), "tb", delay_seconds=0, spends_retry=True)
    look()

    assert [letter.job_id for letter in dead_letters.matching(Filter())] == [event_id]
    assert store.zcard("rq:scheduled:events") == 0


def test_one_handlers_job_is_cancelled_alone(
    accept: Accept, claims_of: ClaimsOf, look: Look, dead_letters: DeadLetters, store: redis.Redis
) -> None:
    event_id = accept()
    claim = claims_of().claim()
    assert claim is not None
    claims_of().fan_out(claim, [("one", "events", 30), ("two", "events", 30)])

    the_job(store, f"{event_id}_one").cancel()
    look()

    (letter,) = dead_letters.matching(Filter())
    assert (letter.job_id, letter.handler) == (f"{event_id}_one", "one")
    assert store.lrange("rq:queue:events", 0, -1) == [f"{event_id}_two".encode()]


def test_a_stop_command_is_refused(accept: Accept, claims_of: ClaimsOf, store: redis.Redis) -> None:
    event_id = accept()
    assert claims_of().claim() is not None

    with pytest.raises(InvalidJobOperation):
        send_stop_job_command(store, event_id, serializer=JSONSerializer)


@SERIALIZERS
def test_a_job_that_a_stock_worker_failed_runs_after_all(
    serializer: Any, accept: Accept, look: Look, run_worker: Any, store: redis.Redis
) -> None:
    told: list[str] = []
    on("user.delete", name="it")(lambda event: told.append(str(event.id)))
    event_id = accept()
    let_stock_worker_run(store, serializer)
    assert store.zcard("rq:failed:events") == 1

    look()
    run_worker()

    assert told == [event_id]
    assert ledger(store) == {"open": 0, "accepted": 1, "done": 1}
    assert store.zcard("rq:failed:events") == 0


@SERIALIZERS
def test_a_job_that_stock_workers_always_take_is_a_dead_letter_that_says_so(
    serializer: Any, accept: Accept, look: Look, run_worker: Any, dead_letters: DeadLetters, store: redis.Redis
) -> None:
    event_id = accept()
    for _ in range(MOST_GIVEN_BACK + 1):
        assert store.llen("rq:queue:events") == 1
        let_stock_worker_run(store, serializer)
        look()

    for _ in range(2):
        store.delete(KEYS.sweep_mark)
        assert look() == []
        (letter,) = dead_letters.of(event_id)
        assert letter.error.startswith("a stock `rq worker` took this job")
    assert "surehook worker" in dead_letters.traceback(letter)
    assert dead_letters.replay(letter)
    let_stock_worker_run(store, serializer)
    look()
    assert store.llen("rq:queue:events") == 1  # it has all its chances again


def test_a_retry_that_a_stock_worker_failed_is_given_back(
    accept: Accept, claims_of: ClaimsOf, make_due: Any, look: Look, store: redis.Redis
) -> None:
    accept()
    _schedule(claims_of())
    make_due()
    let_stock_worker_run(store, JSONSerializer)

    look()

    claim = claims_of().claim()
    assert claim is not None
    assert claim.spent == 1


def test_our_dead_letters_stay(accept: Accept, claims_of: ClaimsOf, look: Look, store: redis.Redis) -> None:
    accept()
    let_stock_worker_run(store, JSONSerializer)
    look()
    _bury(claims_of())

    for _ in range(2):
        assert look() == []

    assert store.zcard("rq:failed:events") == 1


@SERIALIZERS
@pytest.mark.parametrize("is_late", [False, True], ids=["in time", "too late"])
def test_a_transaction_that_a_stock_worker_took_leaves_no_dead_letter(
    is_late: bool, serializer: Any, look: Look, protocol: Protocol, dead_letters: DeadLetters, store: redis.Redis
) -> None:
    protocol.beat("worker")
    event_id = str(uuid4())
    number = protocol.submit(event_id, "endpoint").round
    let_stock_worker_run(store, serializer, TRANSACTIONAL_QUEUE)
    if is_late:
        jump(store, 75_000)
        protocol.recover()

    look()

    assert list(dead_letters.matching(Filter())) == []
    worker = TransactionProtocol(store, KEYS, "worker.1", "worker")
    transaction = worker.claim()
    if is_late:
        assert transaction is None
        assert not store.exists(f"rq:job:{event_id}")
        assert ledger(store)["open"] == 0
        return
    assert transaction is not None
    assert worker.settle(transaction, Outcome("completed")) == "completed"
    assert protocol.confirm(event_id, number)[0] == "completed"
    assert texts(store.zrange("rq:failed:transactional", 0, -1)) == []
