"""Handlers' own queues in tests: a clock for the store's scripts, and workers that claim one job at a time."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import redis

from surehook.shared.limits import Limits
from surehook.shared.scripts import Argument, Script
from surehook.shared.settings import Settings
from surehook.workers.claim import Claim
from surehook.workers.queue import acks
from surehook.workers.queue.acks import Ack
from surehook.workers.queue.claims import FetchResult
from tests.integration.conftest import KEYS
from tests.integration.test_leases import an_attempt
from tests.support.claiming import SingleClaims

HANDLER, QUEUE = "it", "events.it"
STORE_CLOCK = re.compile(rb"^local clock = .*$", re.MULTILINE)
START_MS = 1_800_000_000_000


class StoreClock:
    """The time that scripts see, in ms: it stands in each script in place of the store's own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = START_MS

        def command(script: Script, args: Sequence[Argument]) -> tuple[Argument, ...]:
            clock = b"local clock = {%d, %d}" % (self.now // 1000, self.now % 1000 * 1000)
            return ("EVAL", STORE_CLOCK.sub(clock, script.source), 0, *args)

        monkeypatch.setattr(Script, "command", command)

    def advance(self, ms: float) -> None:
        self.now += round(ms)


class LimitedWorker:
    """Claims jobs of the queue of a handler with limits, and ends their runs."""

    def __init__(self, store: redis.Redis, name: str, limits: Limits, queue: str = QUEUE) -> None:
        settings = Settings(api_keys=("a-key-for-tests-only",), retention=3600, handler_timeout=30)
        self.claims: Any = SingleClaims.of(store, settings, queue, name, limits)
        self.told = FetchResult("", False, ())

    def claim(self, wanted: int = 1) -> tuple[Claim, ...]:
        self.told = self.claims.exchange([], wanted=wanted)
        return self.told.claims

    def end(self, claim: Claim, verdict: str | int = "good", retries: int = 8) -> str:
        """Ends a run as a worker does: `bad` is retried or, without retries left, buried. Returns the letter."""
        self.told = self.claims.exchange([(self.ack(claim, verdict, retries), "w.1", True)], wanted=0)
        return self.told.letters

    def ack(self, claim: Claim, verdict: str | int, retries: int) -> Ack:
        attempt = an_attempt()._replace(handler=HANDLER)
        if verdict == "good":
            ack = acks.finish(claim, "done", attempt)
        elif verdict == "bad" and claim.spent >= retries:
            ack = acks.bury(claim, attempt._replace(outcome="dead letter"), "")
        else:
            ack = acks.retry(claim, attempt, "", delay_seconds=5, spends_retry=verdict == "bad")
        return ack._replace(arguments=(*ack.arguments, verdict))


def move_all(claims_of: Callable[..., SingleClaims], handler: str = HANDLER, queue: str = QUEUE) -> int:
    """Moves waiting events to the handler's own queue, as a worker of `events` does. Returns how many."""
    claims, count = claims_of("mover"), 0
    while (claim := claims.claim()) is not None:
        assert claims.acknowledge(acks.move(claim, handler, queue, 30))
        count += 1
    return count


def leases(store: redis.Redis, queue: str = QUEUE) -> int:
    return int(store.zcard(KEYS.leases(queue)))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StoreClock:
    return StoreClock(monkeypatch)


@pytest.fixture
def put(accept: Callable[..., str], claims_of: Any) -> Callable[[int], list[str]]:
    """Store events, and move them to the handler's own queue."""

    def put(count: int) -> list[str]:
        ids = [accept() for _ in range(count)]
        move_all(claims_of)
        return ids

    return put
