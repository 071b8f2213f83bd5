"""Compares the responses to transactional events with the effects of handlers, while processes are killed and after."""

import os
import secrets
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random
from typing import Any

import httpx

from harness.events import an_event
from harness.stack import Stack, wait_until
from surehook.shared.keys import Keys
from surehook.shared.scripts import text, texts
from tests.support.ledger import is_balanced, ledger
from tests.support.raw_http import status_of, talk
from tests.support.socket_endpoint import a_post

KEYS = Keys()
SENDERS = 4
LONGEST_SECONDS = 0.4
SEED = int(os.environ.get("SEED") or secrets.randbelow(10**6))


@contextmanager
def senders(stack: Stack, answers: dict[str, int], longest_seconds: float = 0, count: int = SENDERS) -> Iterator[None]:
    """Sends as FusionAuth does, without a second try. A request without a response counts as status 0.

    Every second sender writes a request in one piece, which takes the fast path.
    """
    chance = Random(SEED)  # noqa: S311 - repeatable by its seed
    is_over = threading.Event()

    def send(*, in_one_piece: bool) -> None:
        while not is_over.is_set():
            event = slow(chance.uniform(0, longest_seconds))
            try:
                answers[event["id"]] = _deliver(stack, event, in_one_piece=in_one_piece)
            except (httpx.TransportError, OSError):
                answers[event["id"]] = 0

    threads = [threading.Thread(target=send, kwargs={"in_one_piece": number % 2 > 0}) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def _deliver(stack: Stack, event: dict[str, Any], *, in_one_piece: bool) -> int:
    if in_one_piece:
        return status_of(talk(stack.port, a_post(event, "Connection: close")))
    return stack.deliver(event).status_code


def wait_for_successes(answers: dict[str, int], count: int) -> None:
    before = Counter(answers.values())[200]
    wait_until(
        lambda: Counter(dict(answers).values())[200] >= before + count, f"successes again: {Counter(answers.values())}"
    )


def wait_for_answers(answers: dict[str, int], count: int) -> None:
    """Waits until `count` more requests have got a response of any status."""
    before = len([status for status in dict(answers).values() if status])
    wait_until(lambda: len([status for status in dict(answers).values() if status]) >= before + count, "answers")


def kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # its supervisor has just replaced it
            os.kill(pid, signal.SIGKILL)


def check_effects(stack: Stack, answers: dict[str, int], deaths_of_others: int) -> None:
    """Checks every response against the effects of its handlers."""
    with stack.redis() as store:
        wait_until(lambda: ledger(store)["open"] == 0, f"every event is closed: {ledger(store)}", seconds=40)
        assert is_balanced(store)
        orphans = set(texts(store.zrange(KEYS.orphans, 0, -1)))
        assert not list(store.scan_iter(f"{KEYS.prefix}:txn-run:*"))
        assert store.zcard(KEYS.transactions) == 0
        unanswered = [event_id for event_id, status in answers.items() if status in (0, 503)]
        decisions = [text(store.hget(KEYS.event(event_id), "decision")) for event_id in unanswered]
    effects = [line.split() for line in stack.effects()]
    done, undone, told = (
        [event_id for word, event_id in effects if word == which] for which in ("done", "undone", "told")
    )
    succeeded = {event_id for event_id, status in answers.items() if status == 200}
    assert succeeded <= set(done)
    assert not succeeded & orphans
    assert not succeeded & set(undone)
    assert succeeded <= set(told)
    assert len(done) == len(set(done))  # no handler starts twice
    # Every effect was answered with success or is an orphan, unless ingest or the store died between the confirmation
    # and the response.
    pairs = zip(unanswered, decisions, strict=True)
    lost = {event_id for event_id, decision in pairs if decision == "completed"}
    assert set(done) - succeeded - lost <= orphans
    assert not lost & orphans
    assert lost <= set(told)
    assert len(lost) <= SENDERS * deaths_of_others
    assert orphans <= set(undone)
    assert not set(told) & orphans


def slow(seconds: float) -> dict[str, Any]:
    event = an_event("user.create")
    event["user"] |= {"seconds": seconds}
    return event
