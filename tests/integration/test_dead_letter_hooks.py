"""Functions of `@on_dead_letter` are told of each dead letter, after the burial and at least once."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from harness.events import USER_ID
from surehook import DeadLetter, Event, on, on_dead_letter, resource
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.shared.encryption import BodyCipher
from surehook.shared.scripts import texts
from surehook.workers.execution.hooks import Hooks
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.execution.resources import Resources
from surehook.workers.execution.runner import Runner
from surehook.workers.execution.timeouts import Watchdog
from surehook.workers.handlers import hooks, resources
from surehook.workers.maintenance.dead_letter_hooks import LetterHooks
from tests.integration.conftest import KEYS, Accept, Counts, RunWorker

EMAIL = "mara.lindqvist@example.com"
UNTOLD = "surehook:untold"
Teller = Callable[[], LetterHooks]


@pytest.fixture(autouse=True)
def _no_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "declared_letter_hooks", [])
    monkeypatch.setattr(resources, "declared", [])


@pytest.fixture
def teller(store: redis.Redis, counts: Counts, claims_of: Any) -> Iterator[Teller]:
    """The hooks of a worker process with the functions declared so far."""
    runner = Runner(5)
    watchdogs: list[Watchdog] = []

    def teller() -> LetterHooks:
        metrics: Any = counts
        opened = Resources(resources.declared, runner.event_loop)
        opened.open(lambda: False)
        runner.hooks = Hooks(opened)
        missing_key = MissingKey(BodyCipher(), claims_of().key_needed, metrics)
        found = LetterHooks(store, KEYS, hooks.declared_letter_hooks, runner, missing_key)
        watchdogs.append(Watchdog([found.timeout], lambda _: None, lambda: None))
        watchdogs[-1].start()
        found.announce()
        return found

    yield teller
    for watchdog in watchdogs:
        watchdog.stop()
        watchdog.join()
    runner.close()


def fail(event: Any) -> None:
    raise LookupError(f"no account of {event.user.email}")


def make_lease_expire(store: redis.Redis) -> None:
    for job_id in texts(store.zrange(UNTOLD, 0, -1)):
        store.zadd(UNTOLD, {job_id: 0})


def test_it_is_told_once_of_each_with_what_is_known_of_it(
    accept: Accept, run_worker: RunWorker, teller: Teller, store: redis.Redis
) -> None:
    told: list[DeadLetter] = []

    @resource
    def letters() -> Iterator[list[DeadLetter]]:
        yield told

    @on_dead_letter
    async def alert(letter: DeadLetter, letters: list[DeadLetter]) -> None:
        letters.append(letter)

    on("user.delete", name="one", retries=0)(fail)
    on("user.delete", name="two")(lambda event: None)
    worker = teller()
    event_id = accept(user={"id": USER_ID, "email": EMAIL})
    run_worker(turns=3)
    worker.tick()
    worker.tick()

    (letter,) = told
    assert (str(letter.event.id), letter.handler, letter.queue, letter.attempts) == (event_id, "one", "events", 1)
    assert letter.event["user"].email == EMAIL
    assert letter.error == "LookupError: no account of ***"
    assert letter.traceback.endswith("LookupError: no account of ***\n")
    assert "mara" not in repr(letter)
    assert store.exists(UNTOLD) == 0


def test_one_that_dies_again_is_told_again(
    accept: Accept, run_worker: RunWorker, teller: Teller, dead_letters: DeadLetters
) -> None:
    told: list[str] = []
    on_dead_letter(lambda letter: told.append(letter.handler))
    on("user.delete", name="it", retries=0)(fail)
    worker = teller()

    accept()
    run_worker()
    worker.tick()
    for letter in dead_letters.matching(Filter()):
        dead_letters.replay(letter)
    run_worker()
    worker.tick()

    assert told == ["it", "it"]


@pytest.mark.parametrize("kind", ["raises", "takes too long"])
def test_a_failure_is_logged_and_the_letter_told_again(
    accept: Accept,
    run_worker: RunWorker,
    teller: Teller,
    store: redis.Redis,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    tries: list[str] = []

    async def alert(letter: DeadLetter) -> None:
        tries.append("alert")
        if len(tries) == 1:
            raise ConnectionError(letter.event["user"].email) if kind == "raises" else TimeoutError

    on_dead_letter(alert)
    on("user.delete", name="it", retries=0)(fail)
    worker = teller()
    accept(user={"id": USER_ID, "email": EMAIL})
    run_worker()

    with caplog.at_level(logging.ERROR, "surehook.workers.maintenance"):
        worker.tick()
    assert tries == ["alert"], "not before its lease has expired"
    (record,) = (each for each in caplog.records if each.message == "dead letter hook failed")
    assert "mara" not in str(record.__dict__)
    make_lease_expire(store)
    worker.tick()

    assert tries == ["alert"] * 2
    assert store.exists(UNTOLD) == 0


def test_a_process_that_dies_while_it_tells_leaves_the_letter_to_another(
    accept: Accept, run_worker: RunWorker, teller: Teller, store: redis.Redis
) -> None:
    told: list[str] = []
    on_dead_letter(lambda letter: told.append(letter.handler))
    on("user.delete", name="it", retries=0)(fail)
    dead, other = teller(), teller()
    accept()
    run_worker()
    dead._taken(10)  # noqa: SLF001 - its last step

    other.tick()
    assert told == []
    make_lease_expire(store)
    other.tick()

    assert told == ["it"]


def test_an_erased_letter_is_not_told(
    accept: Accept,
    run_worker: RunWorker,
    teller: Teller,
    erase: Callable[..., Any],
    store: redis.Redis,
) -> None:
    told: list[str] = []
    on_dead_letter(lambda letter: told.append(letter.handler))
    on("user.delete", name="it", retries=0)(fail)
    worker = teller()
    accept()
    run_worker()
    erase()
    worker.tick()

    assert told == []
    assert store.exists(UNTOLD) == 0


def test_without_functions_no_burial_is_noted(accept: Accept, run_worker: RunWorker, store: redis.Redis) -> None:
    @on("user.delete", name="it", retries=0)
    def it(event: Event) -> None:
        raise OSError

    accept()
    run_worker()

    assert store.exists(UNTOLD) == 0
