"""Exchanges: many acks and claims in one script, each exchange applied once."""

from typing import Any

import pytest
import redis
from rq.job import Job
from rq.serializers import JSONSerializer

from surehook.workers.queue import acks
from surehook.workers.queue.claims import ClaimState, token_prefix_of
from surehook.workers.supervisor.interruption import interrupt
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_leases import NO_HANDLERS, an_attempt, let_lapse, recover, snapshot
from tests.support.ledger import is_balanced


def test_a_claim_whose_reply_was_lost_is_given_again_and_counted_once(
    accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    for _ in range(5):
        accept()
    claims = claims_of()
    arguments = claims.exchange_arguments(1, (), wanted=3, starting=1)

    lost, again = (claims.parse_reply(claims.exchange_script().run(store, *arguments)) for _ in range(2))

    assert [claim.runs for claim in lost.claims] == [1, 1, 1]
    assert again == lost
    assert store.llen("rq:queue:events") == 2


def test_an_exchange_that_arrives_after_a_later_one_is_ignored(
    accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    accept()
    claims = claims_of()
    first, second = (
        claims.exchange_arguments(number, (), wanted=wanted, starting=0) for number, wanted in ((1, 9), (2, 0))
    )
    claims.exchange_script().run(store, *second)
    before = snapshot(store)

    assert claims.exchange_script().run(store, *first) is None
    assert snapshot(store) == before


def test_each_ack_in_an_exchange_is_accepted_or_rejected_separately(
    accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    for _ in range(3):
        accept()
    claims = claims_of("slow")
    first, lost, last = (claims.claim() for _ in range(3))
    let_lapse(store, lost)
    recover(claims_of("other"), store)
    notes = [(acks.finish(claim, "done", an_attempt()), "slow.1", True) for claim in (first, lost, last)]
    arguments = claims.exchange_arguments(claims.next_number(), notes, wanted=0, starting=0)

    told, told_again = (claims.parse_reply(claims.exchange_script().run(store, *arguments)) for _ in range(2))

    assert told.accepted_acks == (True, False, True)
    assert told_again == told
    assert is_balanced(store)
    assert store.lrange("rq:queue:events", 0, -1) == [lost.job_id.encode()]


def test_reserved_jobs_of_a_dead_process_return_without_a_counted_attempt(
    accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    ids = [accept() for _ in range(3)]
    claims = claims_of("dead")
    arguments = claims.exchange_arguments(1, (), wanted=3, starting=1)
    for claim in claims.parse_reply(claims.exchange_script().run(store, *arguments)).claims:
        let_lapse(store, claim)

    assert sorted(recover(claims_of("other"), store)) == ["requeued", "returned", "returned"]

    again = [claims_of("other").claim() for _ in range(3)]
    assert {claim.job_id: (claim.runs, claim.interruptions) for claim in again} == {
        ids[0]: (2, 1),
        ids[1]: (1, 0),
        ids[2]: (1, 0),
    }


def test_a_job_that_ended_before_the_next_exchange_still_reports_its_start(
    accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    event_id = accept()
    claims = claims_of()
    arguments = claims.exchange_arguments(1, (), wanted=1, starting=0)
    (claim,) = claims.parse_reply(claims.exchange_script().run(store, *arguments)).claims
    assert store.hget(f"rq:job:{event_id}", "status") == b"queued"
    attempt = an_attempt()

    claims.finish(claim, "done", attempt)

    began_at = Job.fetch(event_id, connection=store, serializer=JSONSerializer).started_at
    assert began_at == attempt.started_at


def test_claims_of_a_dead_process_are_listed_newest_first(accept: Accept, claims_of: Any, store: redis.Redis) -> None:
    ids = [accept() for _ in range(4)]
    claims = claims_of("dead")
    for number in (1, 2):
        claims.exchange_script().run(store, *claims.exchange_arguments(number, (), wanted=2, starting=0))

    for key in claims.claims_of("dead"):
        interrupt(claims_of("pool"), NO_HANDLERS, store, KEYS, key, state=ClaimState.RESERVED)

    assert store.lrange("rq:queue:events", 0, -1) == [each.encode() for each in ids]
    assert not store.exists(KEYS.process_claims(token_prefix_of("dead")))


def test_a_job_that_crashed_its_process_is_claimed_without_other_jobs(
    accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    killer = accept()
    claim = claims_of("dies").claim()
    interrupt(claims_of("pool"), NO_HANDLERS, store, KEYS, claim.key, state=ClaimState.STARTED)
    before, after = accept(), accept()
    store.lrem("rq:queue:events", 0, killer)
    store.linsert("rq:queue:events", "BEFORE", after, killer)
    claims = claims_of()

    taken = []
    for number in (1, 2, 3):
        arguments = claims.exchange_arguments(number, (), wanted=8, starting=8)
        taken.append(
            [each.job_id for each in claims.parse_reply(claims.exchange_script().run(store, *arguments)).claims]
        )

    assert taken == [[before], [killer], [after]]


@pytest.mark.parametrize("pause", [("set", "rq:suspended", 1), ("sadd", KEYS.paused, "events")])
def test_a_paused_queue_gives_no_claims_but_accepts_acks(
    pause: Any, accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    accept()
    accept()
    claims = claims_of()
    running = claims.claim()
    command, key, value = pause
    getattr(store, command)(key, value)
    arguments = claims.exchange_arguments(
        claims.next_number(), [(acks.finish(running, "done", None), "one", True)], wanted=8, starting=8
    )

    told = claims.parse_reply(claims.exchange_script().run(store, *arguments))

    assert (told.accepted_acks, told.is_paused, told.claims) == ((True,), True, ())
    assert store.llen("rq:queue:events") == 1


def test_a_copy_of_a_job_whose_event_is_closed_does_not_run(accept: Accept, claims_of: Any, store: redis.Redis) -> None:
    event_id = accept()
    claims = claims_of()
    assert claims.finish(claims.claim(), "done", an_attempt())
    store.rpush("rq:queue:events", event_id)

    assert claims.claim() is None

    assert is_balanced(store)
