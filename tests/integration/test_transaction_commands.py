"""The commands that list transactions without a success, and resolve or replay them."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import redis

from harness.events import a_body, an_event
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.handlers.registry import on
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome
from tests.integration.conftest import KEYS
from tests.support.command import Surehook, command_on
from tests.support.ledger import ledger
from tests.support.transactions import Protocol


@pytest.fixture
def surehook(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Surehook:
    return command_on(settings, monkeypatch)


@pytest.fixture
def decide(store: redis.Redis, protocol: Protocol) -> Any:
    """Let an event end so; returns its id."""

    def decide(outcome: Outcome, *, is_late: bool = False) -> str:
        protocol.beat("worker")
        event_id = str(uuid4())
        number = protocol.submit(event_id, "endpoint").round
        room = TransactionProtocol(store, KEYS, "one", "worker")
        transaction = room.claim()
        assert transaction is not None
        if is_late:
            protocol.abandon(event_id, number)
        room.settle(transaction, outcome)
        if not is_late and outcome.outcome == "completed":
            protocol.confirm(event_id, number)
        return event_id

    return decide


def test_a_dry_run_of_committed_runs_nothing(surehook: Surehook, decide: Any, store: redis.Redis) -> None:
    event_id, yes = decide(Outcome("rejected")), decide(Outcome("completed"))

    assert surehook("events", "replay", event_id, "--committed", "--dry-run") == (
        0,
        f"{event_id}\n1 would be replayed\n",
    )
    assert surehook("events", "replay", yes, "--committed", "--dry-run")[0] == 3

    assert store.llen(Keys().rq_queue("events")) == 0


def test_replay_as_committed_names_the_events_that_run_and_those_that_do_not(
    surehook: Surehook, decide: Any, store: redis.Redis
) -> None:
    event_id, yes = decide(Outcome("rejected")), decide(Outcome("completed"))

    status, said = surehook("events", "replay", event_id.upper(), yes, "--committed", "--rate", "1000")

    assert status == 3
    assert f"{yes} is not a refused transaction" in said
    assert store.lrange(Keys().rq_queue("events"), 0, -1) == [event_id.encode()]


@pytest.mark.parametrize("more", [["--type", "user.create"], ["--state", "done"], ["--all"]])
def test_replay_as_committed_takes_no_filter(
    more: list[str], surehook: Surehook, decide: Any, store: redis.Redis
) -> None:
    status, said = surehook("events", "replay", decide(Outcome("rejected")), "--committed", *more)

    assert status == 2
    assert "ids alone" in said
    assert store.llen(Keys().rq_queue("events")) == 0


def test_orphans_and_refusals_are_listed_each_in_their_state(surehook: Surehook, decide: Any) -> None:
    made = {
        "rejected": decide(Outcome("rejected", "not you")),
        "failed": decide(Outcome("failed")),
        "abandoned": decide(Outcome("rejected"), is_late=True),
        "orphaned": decide(Outcome("completed"), is_late=True),
    }

    def listed(state: str) -> dict[str, str]:
        lines = surehook("events", "list", "--state", state, "--json")[1].splitlines()
        return {each["event_id"]: each["reason"] for each in map(json.loads, lines)}

    assert listed("rejected") == {made["rejected"]: "not you"}
    assert listed("failed") == {made["failed"]: ""}
    assert listed("abandoned") == {made["abandoned"]: "", made["orphaned"]: ""}
    assert listed("orphaned") == {made["orphaned"]: ""}


def test_a_resolved_orphan_is_off_the_list_and_once_is_enough(surehook: Surehook, decide: Any) -> None:
    event_id = decide(Outcome("completed"), is_late=True)
    assert event_id in surehook("events", "list", "--state", "orphaned")[1]

    assert surehook("events", "resolve", event_id.upper()) == (0, f"{event_id} resolved\n")

    assert surehook("events", "list", "--state", "orphaned") == (0, "no such events\n")
    status, said = surehook("events", "resolve", event_id)
    assert (status, said) == (3, f"{event_id} is not an unresolved orphan")


def test_the_list_of_refusals_takes_a_handler_and_a_limit_and_shows_the_newest_first(
    surehook: Surehook, decide: Any, store: redis.Redis
) -> None:
    attempt = AttemptRecord("check", 1, datetime.now(UTC), 1, "rejected", "Reject: no")
    event_ids = [decide(Outcome("rejected", attempts=(attempt,))) for _ in range(3)]
    for at, event_id in enumerate(event_ids):
        store.zadd(KEYS.decided("rejected"), {event_id: at})

    def listed(*filters: str) -> list[str]:
        lines = surehook("events", "list", "--state", "rejected", "--json", *filters)[1].splitlines()
        return [json.loads(line)["event_id"] for line in lines if line.startswith("{")]

    assert listed() == event_ids[::-1]
    assert listed("--limit", "2") == event_ids[:0:-1]
    assert "the newest 2 of 3" in surehook("events", "list", "--state", "rejected", "--limit", "2")[1]
    assert listed("--handler", "check") == event_ids[::-1]
    assert listed("--handler", "nobody") == []


def test_a_success_without_other_handlers_is_listed_and_runs_again(
    surehook: Surehook, decide: Any, run_worker: Any, store: redis.Redis
) -> None:
    event_id = decide(Outcome("completed"))
    store.hset(KEYS.event(event_id), "body", a_body(an_event("user.create", id=event_id)))

    for state in ("closed", "completed"):
        assert event_id in surehook("events", "list", "--state", state)[1]
    told: list[str] = []
    on("user.create", name="tell")(lambda event: told.append(str(event.id)))
    assert surehook("events", "replay", event_id) == (0, "1 replayed\n")
    run_worker(1)

    assert told == [event_id]
    assert event_id in surehook("events", "list", "--state", "done")[1]
    assert ledger(store) == {"open": 0, "accepted": 1, "done": 1}


def test_the_first_characters_of_an_id_are_enough(surehook: Surehook, decide: Any) -> None:
    orphan, refused = decide(Outcome("completed"), is_late=True), decide(Outcome("rejected"))

    assert surehook("events", "resolve", orphan[:8]) == (0, f"{orphan} resolved\n")
    assert surehook("events", "replay", refused[:8].upper(), "--committed") == (0, "1 replayed\n")
    assert surehook("events", "resolve", "") == (3, " is not an unresolved orphan")


def test_characters_with_which_several_ids_begin_are_refused(
    surehook: Surehook, decide: Any, store: redis.Redis
) -> None:
    first = decide(Outcome("rejected"))
    store.zadd(KEYS.decided("rejected"), {f"{first[:8]}-0000-4000-8000-000000000000": 1})

    status, said = surehook("events", "replay", first[:8], "--committed")

    assert status == 2
    assert "several ids" in said
