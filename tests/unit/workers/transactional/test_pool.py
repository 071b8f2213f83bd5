"""How the threads of a process share slots and batches."""

from surehook.workers.transactional.pool import (
    BECOMES_FAST,
    FAST_SECONDS,
    HELD_UP_SECONDS,
    HIGHEST,
    SLOW_COSTS,
    SlotPool,
)
from tests.support.slot_pool import FOREVER, SLOTS, a_slot, claimed, finished, note

SLOW_SECONDS = FAST_SECONDS * 2


def test_handlers_are_fast_after_many_fast_runs_and_not_before(pool: SlotPool) -> None:
    note(pool, BECOMES_FAST - 1, 0.0)
    assert not pool.is_fast

    note(pool, 1, 0.0)
    assert pool.is_fast


def test_a_slow_run_takes_back_many_fast_ones(pool: SlotPool) -> None:
    note(pool, BECOMES_FAST - 1, 0.0)
    note(pool, 1, SLOW_SECONDS)

    note(pool, SLOW_COSTS, 0.0)
    assert not pool.is_fast

    note(pool, 1, 0.0)
    assert pool.is_fast


def test_one_slow_run_among_many_does_not_end_it(fast: SlotPool) -> None:
    for _ in range(10):
        note(fast, 1, SLOW_SECONDS)
        note(fast, SLOW_COSTS, 0.0)

        assert fast.is_fast


def test_slow_runs_end_it_until_handlers_have_been_fast_for_a_while(fast: SlotPool) -> None:
    note(fast, 10 * HIGHEST, 0.0)
    note(fast, HIGHEST // SLOW_COSTS, SLOW_SECONDS)
    assert not fast.is_fast

    note(fast, BECOMES_FAST - 1, 0.0)
    assert not fast.is_fast


def test_a_thread_claims_for_all_slots_only_while_handlers_are_fast(pool: SlotPool) -> None:
    assert pool.most_at_once == 1

    note(pool, HIGHEST, 0.0)
    assert pool.most_at_once == SLOTS

    pool.let_all_work()
    note(pool, BECOMES_FAST - 1, 0.0)
    assert pool.most_at_once == 1


def test_only_a_few_threads_may_claim_while_handlers_are_fast(pool: SlotPool) -> None:
    for _ in range(2):
        pool.join()
    assert pool.may_claim

    note(pool, HIGHEST, 0.0)
    assert not pool.may_claim

    pool.leave()
    assert pool.may_claim


def test_a_threads_own_claims_come_first(pool: SlotPool) -> None:
    own, other = pool.new_batch(), pool.new_batch()
    old, first, second = claimed(FOREVER), claimed(0), claimed(0)
    other.claimed.append(old)
    own.claimed += [first, second]

    assert [pool.next_claimed(own) for _ in range(4)] == [first, second, old, None]


def test_another_threads_claim_is_taken_only_when_it_is_held_up(pool: SlotPool) -> None:
    own, other = pool.new_batch(), pool.new_batch()
    old, young = claimed(HELD_UP_SECONDS + 0.001), claimed(-FOREVER)
    other.claimed += [old, young]

    assert [pool.next_claimed(own), pool.next_claimed(own)] == [old, None]
    assert list(other.claimed) == [young]


def test_a_thread_settles_its_own_runs_and_those_that_are_held_up(pool: SlotPool) -> None:
    own, other = pool.new_batch(), pool.new_batch()
    first, second = finished(-FOREVER), finished(-FOREVER)
    old, older, young = finished(HELD_UP_SECONDS + 0.001), finished(FOREVER), finished(-FOREVER)
    own.finished += [first, second]
    other.finished += [older, old, young]

    assert pool.take_finished(own) == [first, second, older, old]
    assert list(other.finished) == [young]
    assert not own.finished


def test_there_is_work_until_all_runs_are_taken(pool: SlotPool) -> None:
    batch, own = pool.new_batch(), pool.new_batch()
    assert not pool.has_work

    batch.claimed.append(claimed(FOREVER))
    assert pool.has_work

    batch.finished.append(finished(FOREVER))
    pool.next_claimed(own)
    assert pool.has_work

    pool.take_finished(own)
    assert not pool.has_work


def test_a_slot_that_may_hold_a_claim_is_not_free(pool: SlotPool) -> None:
    unsure, *others = pool.take_free(SLOTS)
    unsure.may_hold_claim = True
    pool.release([unsure, *others])

    assert pool.take_free(SLOTS) == others
    assert [pool.take_unsure(), pool.take_unsure()] == [unsure, None]


def test_every_slot_may_hold_a_claim_at_first() -> None:
    slots = [a_slot() for _ in range(SLOTS)]
    pool = SlotPool(slots)

    assert pool.take_free(SLOTS) == []
    assert [pool.take_unsure() for _ in range(SLOTS + 1)] == [*slots, None]


def test_no_more_slots_are_taken_than_wanted(pool: SlotPool) -> None:
    assert [len(pool.take_free(count)) for count in (0, 1, SLOTS)] == [0, 1, SLOTS - 1]
