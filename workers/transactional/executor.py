"""Claims transactions in batches, has them decided, and settles them."""

import time
from collections.abc import Sequence

from redis.exceptions import RedisError, ResponseError

from surehook.shared.errors import KeyMissing
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.store_report import StoreReport
from surehook.workers.transactional.batch import NEVER, ClaimedRun, FinishedRun, RunSlot
from surehook.workers.transactional.decider import Decider
from surehook.workers.transactional.exchange import TransactionExchange
from surehook.workers.transactional.pool import LONGEST_BATCH_SECONDS, SlotPool
from surehook.workers.transactional.settlements import Settlements
from surehook.workers.transactional.transaction import Transaction


class TransactionalExecutor:
    """Runs transactions in one thread. Each handler thread has its own, and all of a process share a pool."""

    def __init__(
        self,
        pool: SlotPool,
        exchange: TransactionExchange,
        decider: Decider,
        *,
        missing_key: MissingKey,
        report: StoreReport | None = None,
    ) -> None:
        self._pool = pool
        self._exchange = exchange
        self.decider = decider
        self.missing_key = missing_key
        self.finished = 0
        self._batch = pool.new_batch()
        self._wanted = 1
        """For how many slots to claim next: twice as many after a full packet, else as many as came."""
        self._must_ask_store = False
        """The last packet failed: this thread sends one, also when it is not its turn."""
        self.has_asked_store = False
        """The store has answered during the last `run_until_idle`."""
        self._settlements = Settlements(self._batch, report or StoreReport())

    def stop(self) -> None:
        """Lets no thread of the process claim any more."""
        self._pool.stop()

    def close(self) -> None:
        self._exchange.close()

    def wait_for_turn(self) -> None:
        """Waits while there is nothing to do. After an error the store is asked first, so that its trouble is known."""
        self._pool.wait_for_turn(self._batch, is_out_of_turn=self._must_ask_store)

    def run_until_idle(self, wait_seconds: float) -> int:
        """Runs transactions until none comes within `wait_seconds`. Returns how many have finished.

        Raises:
            RedisError, OSError: the store is unavailable; the next call finds claims whose replies were lost.
        """
        before = self.finished
        self.has_asked_store = False
        if not self._batch:
            self._find_lost_claims()
        while True:
            began = time.monotonic()
            while (run := self._pool.next_claimed(self._batch)) is not None:
                self._run(run)
                if time.monotonic() - began > LONGEST_BATCH_SECONDS:
                    break  # no outcome waits long for others
            if not self._settle_and_claim(wait_seconds):
                return self.finished - before

    def _find_lost_claims(self) -> None:
        """Claims with slots that may hold a claim whose reply was lost: its event must not wait for its deadline."""
        while not self._pool.is_stopping and len(self._batch.claimed) < self._pool.most_at_once:
            if self.missing_key.is_paused() or (slot := self._pool.take_unsure()) is None:
                return
            try:
                transaction = slot.worker.claim()
            except BaseException as exc:
                self._must_ask_store = True
                self._pool.release([slot])
                if isinstance(exc, ResponseError) and self._batch.claimed:
                    return  # one event's error delays no other
                raise
            self.has_asked_store = True
            self._admit([slot], [transaction])

    def _run(self, run: ClaimedRun) -> None:
        """Decides a transaction, unless its time is over: an expired event never starts."""
        slot, transaction, _ = run
        began = time.monotonic()
        if began >= transaction.read_at + transaction.seconds_left:
            self._give_back(run)
            return
        self._batch.is_busy_from = began
        try:
            outcome = self.decider.decide_safely(transaction, slot.context)
        except KeyMissing as exc:
            self._batch.is_busy_from = NEVER
            self._give_back(run)
            self.missing_key.report(transaction, exc.key_id)
            return
        slot.context.finish_runs()
        ended = time.monotonic()
        self._batch.is_busy_from = NEVER
        self._batch.finished.append(FinishedRun(slot, transaction, outcome, ended))
        self._pool.note_run(self.decider.handler_seconds)

    def _give_back(self, run: ClaimedRun) -> None:
        run.slot.may_hold_claim = True  # unless the store says that it is given back
        try:
            run.slot.worker.give_back(run.transaction)
            run.slot.context.free()
            run.slot.may_hold_claim = False
        finally:
            self._pool.release([run.slot])

    def _settle_and_claim(self, wait_seconds: float) -> bool:
        """Reports the outcomes of the batch, and claims the next one, in one packet. Returns whether to go on.

        Outcomes are reported until the store has recorded them, because only the store may decide if they were in time.
        A process that is stopping does so, too, until its grace period ends.
        """
        finished = self._pool.take_finished(self._batch)
        if not finished:
            self._settlements.forget()
        claiming = self._slots_that_claim(finished)
        if not finished and not claiming:
            return bool(self._batch.claimed)
        self._batch.is_busy_from = time.monotonic()
        try:
            self._exchange.send(finished, claiming, wait_seconds)
            self.decider.unlogged.log()
            outcomes = self._exchange.read_final_outcomes()
        except (RedisError, OSError) as exc:
            self.decider.unlogged.log()
            self._note_lost_replies(claiming)
            self._release(claiming, except_of=finished)
            self._must_ask_store = True
            if not finished:
                self._batch.is_busy_from = NEVER
                raise
            self._settlements.retry(finished, exc)
            return True
        settled = self._settlements.note(finished, outcomes)
        self.finished += len(settled)
        self._release([run.slot for run in settled if run.slot not in claiming])
        self.decider.unlogged.log()
        self._must_ask_store, self.has_asked_store = False, True
        if claiming:
            return self._read_claims(claiming, wait_seconds)
        self._batch.is_busy_from = NEVER
        self._find_lost_claims()
        if not settled:
            self._settlements.pause()
        return True

    def _slots_that_claim(self, finished: Sequence[FinishedRun]) -> list[RunSlot]:
        is_busy = self._pool.is_stopping or self._settlements.failures or self._batch.claimed
        if is_busy or self.missing_key.is_paused() or not (self._pool.may_claim or self._must_ask_store):
            return []
        wanted = min(self._wanted, self._pool.most_at_once)
        slots = [run.slot for run in finished if run.slot not in self._settlements.refused][:wanted]
        return slots + self._pool.take_free(wanted - len(slots))

    def _read_claims(self, claiming: Sequence[RunSlot], wait_seconds: float) -> bool:
        idle_at = self._batch.is_busy_from = time.monotonic() + wait_seconds
        try:
            results = self._exchange.read_claims()
        except BaseException:
            self._must_ask_store = True
            self._note_lost_replies(claiming)
            self._release(claiming)
            raise
        finally:
            self._batch.is_busy_from = NEVER
        count = self._admit(claiming, results)
        if self._pool.is_fast and time.monotonic() >= idle_at:
            # A late packet may have claimed with any slot. Now each slot claims every second again, and finds that.
            self._pool.let_all_work()
        self._wanted = 2 * count if count == len(claiming) else max(1, count)
        for slot, result in zip(claiming, results, strict=True):
            if isinstance(result, ResponseError) and slot not in self._settlements.refused and not count:
                raise result
        return count > 0

    def _admit(self, slots: Sequence[RunSlot], results: Sequence[Transaction | ResponseError | None]) -> int:
        """Takes claimed transactions into the batch. Returns how many there are."""
        now, count = time.monotonic(), 0
        idle: list[RunSlot] = []
        unwanted: list[tuple[RunSlot, Transaction]] = []
        for slot, result in zip(slots, results, strict=True):
            if slot in self._settlements.refused:
                if isinstance(result, Transaction):
                    slot.may_hold_claim = True
                    unwanted.append((slot, result))
            elif isinstance(result, Transaction):
                slot.may_hold_claim = False
                slot.context.reserve(result)
                self._batch.claimed.append(ClaimedRun(slot, result, now))
                count += 1
            else:
                slot.may_hold_claim = result is not None
                slot.context.free()
                idle.append(slot)
        self._release(idle)
        for slot, transaction in unwanted:
            slot.worker.give_back(transaction)
        return count

    def _release(self, slots: Sequence[RunSlot], except_of: Sequence[FinishedRun] = ()) -> None:
        """Returns slots to the pool, except those of runs that are not settled."""
        kept = {run.slot for run in except_of} | self._settlements.refused
        self._pool.release([slot for slot in slots if slot not in kept])

    def _note_lost_replies(self, claiming: Sequence[RunSlot]) -> None:
        """The packet may still arrive: every thread claims often, so that its claims are found."""
        for slot in claiming:
            slot.may_hold_claim = True
        self._pool.let_all_work()
