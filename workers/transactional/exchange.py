"""Settles and claims the transactions of several slots of a process in one packet."""

import time
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, TypeVar

import redis
from redis.exceptions import NoScriptError, ResponseError

from surehook.shared.keys import Keys
from surehook.shared.scripts import Script
from surehook.workers.connection import Command, Connection
from surehook.workers.transactional.batch import FinishedRun, RunSlot
from surehook.workers.transactional.protocol import settled
from surehook.workers.transactional.transaction import Transaction

T = TypeVar("T")


class TransactionExchange:
    """One thread's connection to the store.

    Settling, waiting for a wake-up and claiming leave in one packet; the replies are read as they come: call `send`,
    `read_final_outcomes`, `read_claims`, in this order. After an error the next packet goes on a new connection.
    """

    def __init__(self, store: redis.Redis, keys: Keys, process: str) -> None:
        self._process = process
        self._wake_up = keys.wake_up
        self._settle, self._claim = Script("txn_settle", keys), Script("txn_claim", keys)
        self._connection = Connection(store)
        self._finished: Sequence[FinishedRun] = ()
        self._claiming: Sequence[RunSlot] = ()
        self._sent_at = self._store_ms = 0.0

    def close(self) -> None:
        self._connection.close()

    def send(self, finished: Sequence[FinishedRun], claiming: Sequence[RunSlot], wait_seconds: float) -> None:
        """Sends outcomes, and a claim for each of these slots for when an event comes within `wait_seconds`.

        Raises:
            RedisError, OSError: the store is unavailable; it may have executed the commands.
        """
        self._finished, self._claiming = finished, claiming
        commands: list[Command] = [("TIME",)]  # claims at the end run after an unknown wait
        if finished:
            runs = (slot.worker.outcome_arguments(transaction, outcome) for slot, transaction, outcome, _ in finished)
            commands.append(self._settle.command([*chain.from_iterable(runs)]))
        if claiming:
            claims = (slot.worker.claim_arguments() for slot in claiming)
            commands.append(("BLPOP", self._wake_up, wait_seconds))
            commands.append(self._claim.command([self._process, *chain.from_iterable(claims)]))
        try:
            self._sent_at = time.monotonic()
            self._connection.send(commands)
        except BaseException:
            self._connection.close()
            raise
        seconds, micros = self._read()
        self._store_ms = int(seconds) * 1000 + int(micros) / 1000

    def read_final_outcomes(self) -> list[str | ResponseError]:
        """The final outcomes of the runs that were sent, as `TransactionProtocol.settle` returns or raises them.

        Raises:
            RedisError, OSError: the store is unavailable; the runs may have been settled.
        """
        if not self._finished:
            return []
        try:
            replies = self._read()
        except NoScriptError:
            return self._settle_alone()
        return [_result(settled, reply) for reply in replies]

    def _settle_alone(self) -> list[str | ResponseError]:
        try:
            return [
                _result(slot.worker.settle, transaction, outcome) for slot, transaction, outcome, _ in self._finished
            ]
        except BaseException:
            self._connection.close()  # the replies to the claims are unread
            raise

    def read_claims(self) -> list[Transaction | ResponseError | None]:
        """Returns for each slot that claims its transaction, none, or the error of its claim.

        Raises:
            RedisError, OSError: the store is unavailable; these slots may have a claim.
        """
        if not self._claiming:
            return []
        self._read()  # the wake-up, or none in time: the claims follow either way
        try:
            replies = self._read()
        except NoScriptError:
            return [_result(slot.worker.claim) for slot in self._claiming]
        return [
            _result(slot.worker.claimed, reply, self._sent_at, self._store_ms)
            for slot, reply in zip(self._claiming, replies, strict=True)
        ]

    def _read(self) -> Any:
        try:
            return self._connection.read()
        except NoScriptError:
            raise  # the replies to the other commands follow
        except BaseException:
            self._connection.close()
            raise


def _result(function: Callable[..., T], *arguments: Any) -> T | ResponseError:
    """Calls a function for one of several runs. Returns its error, if that is this run's alone: the others go on."""
    try:
        return function(*arguments)
    except ResponseError as exc:
        return exc
