"""`surehook events`: filtering, showing without the body, and replaying."""

import json
from typing import Any

import pytest
import redis

from harness.events import TENANT_ID, USER_ID
from surehook import Event, Permanent, on
from surehook.admin.dead_letters import DeadLetters
from surehook.admin.events import EventLog
from surehook.shared.settings import Settings
from surehook.shared.stats import StatsReader
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_leases import an_attempt
from tests.support.command import Surehook, command_on
from tests.support.ledger import ledger


@pytest.fixture
def surehook(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Surehook:
    return command_on(settings, monkeypatch)


@pytest.fixture
def ran() -> list[str]:
    """Handlers `one` and `two` for user.delete, `one` for user.create too."""
    ran: list[str] = []
    on("user.delete", "user.create", name="one")(lambda event: ran.append(f"one {event.type}"))
    on("user.delete", name="two")(lambda event: ran.append(f"two {event.type}"))
    return ran


@pytest.fixture
def one_of_each(
    accept: Accept, claims_of: Any, run_worker: Any, dead_letters: DeadLetters, ran: list[str]
) -> dict[str, str]:
    """One event for each state."""
    claims = claims_of()
    found = {"done": accept(), "unhandled": accept("user.login.failed")}
    run_worker(turns=4)
    found |= {"discarded": accept()}
    claims.bury(claims.claim(), an_attempt(), "")
    dead_letters.discard(dead_letters.of(found["discarded"])[0])
    found |= {"dead": accept(), "scheduled": accept(), "running": accept(), "waiting": accept("user.create")}
    claims.bury(claims.claim(), an_attempt(), "")
    claims.retry(claims.claim(), an_attempt(), "", delay_seconds=60, spends_retry=True)
    claims.claim()
    return found


def listed(surehook: Surehook, *filters: str) -> dict[str, str]:
    lines = surehook("events", "list", "--json", *filters)[1].splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]  # the rest is what stderr says
    return {event["event_id"]: event["state"] for event in found}


def test_every_event_on_record_is_listed_with_its_state(one_of_each: dict[str, str], surehook: Surehook) -> None:
    assert listed(surehook) == {event_id: state for state, event_id in one_of_each.items()}


@pytest.mark.parametrize(
    ("filters", "states"),
    [
        pytest.param(["--state", "open"], {"dead", "scheduled", "running", "waiting"}, id="open"),
        pytest.param(["--state", "closed"], {"done", "unhandled", "discarded"}, id="closed"),
        pytest.param(["--state", "dead"], {"dead"}, id="dead"),
        pytest.param(["--type", "user.create"], {"waiting"}, id="type"),
        pytest.param(["--handler", "two"], {"done"}, id="handler"),
        pytest.param(["--user", USER_ID.upper(), "--state", "done"], {"done"}, id="user"),
        pytest.param(["--tenant", TENANT_ID, "--state", "waiting"], {"waiting"}, id="tenant"),
        pytest.param(["--tenant", "nobody"], set(), id="other tenant"),
        pytest.param(["--since", "2100-01-01"], set(), id="since"),
        pytest.param(["--until", "2020-01-01"], set(), id="until"),
    ],
)
def test_the_list_takes_filters(
    filters: list[str], states: set[str], one_of_each: dict[str, str], surehook: Surehook
) -> None:
    assert set(listed(surehook, *filters).values()) == states


def test_the_list_is_bounded_and_shows_the_newest_first(accept: Accept, surehook: Surehook, store: redis.Redis) -> None:
    event_ids = [accept() for _ in range(4)]
    for position, event_id in enumerate(event_ids):
        store.hset(KEYS.event(event_id), "received_at", 1_700_000_000_000 + position)

    assert list(listed(surehook, "--limit", "2")) == event_ids[:1:-1]
    assert "the newest 2 of 4" in surehook("events", "list", "--limit", "2")[1]


def test_a_split_event_is_running_when_one_part_runs_and_dead_when_none_is_active(
    accept: Accept, claims_of: Any, surehook: Surehook
) -> None:
    event_id = accept()
    claims = claims_of()
    claims.fan_out(claims.claim(), [("a", "events", 1.0), ("b", "events", 1.0)])
    claims.bury(claims.claim(), an_attempt(), "")
    assert listed(surehook) == {event_id: "waiting"}
    last = claims.claim()
    assert listed(surehook) == {event_id: "running"}
    claims.finish(last, "done", None)
    assert listed(surehook) == {event_id: "dead"}


def test_show_takes_the_first_characters_and_keeps_the_body_to_itself(
    one_of_each: dict[str, str], surehook: Surehook
) -> None:
    event_id = one_of_each["done"]

    status, shown = surehook("events", "show", event_id[:8].upper())

    assert status == 0
    assert event_id in shown
    assert "attempt 1  done" in shown
    assert "mara" not in shown
    assert "mara.lindqvist@example.com" in surehook("events", "show", event_id, "--body")[1]
    assert "body" in json.loads(surehook("events", "show", event_id, "--body", "--json")[1])
    assert "body" not in json.loads(surehook("events", "show", event_id, "--json")[1])


def test_show_prints_each_name_apart_from_its_value(accept: Accept, surehook: Surehook) -> None:
    event_id = accept()

    shown = [line.split(maxsplit=1) for line in surehook("events", "show", event_id)[1].splitlines()]

    facts = json.loads(surehook("events", "show", event_id, "--json")[1])
    assert [name for name, _ in shown] == list(facts)[: len(shown)]
    assert dict(shown)["application_ids"] == "-"


@pytest.mark.parametrize("some_id", ["00000000", "00000000-0000-0000-0000-000000000000", "no-id", "*", ""])
def test_an_event_that_is_not_there_is_not_found(some_id: str, accept: Accept, surehook: Surehook) -> None:
    accept()

    assert surehook("events", "show", some_id)[0] == 3


def test_a_done_event_runs_again_for_all_its_handlers(
    accept: Accept, run_worker: Any, surehook: Surehook, ran: list[str], store: redis.Redis
) -> None:
    event_id = accept()
    run_worker(turns=3)
    assert ledger(store) == {"open": 0, "accepted": 1, "done": 1}

    assert surehook("events", "replay", event_id) == (0, "1 replayed\n")

    assert ledger(store) == {"open": 1, "accepted": 1, "done": 0}
    assert StatsReader(store, KEYS).read().imbalance == 0
    assert store.ttl(KEYS.event(event_id)) == -1
    run_worker(turns=3)
    assert ran == ["one user.delete", "two user.delete"] * 2
    assert ledger(store) == {"open": 0, "accepted": 1, "done": 1}
    assert StatsReader(store, KEYS).read().drift == 0
    assert 0 < store.ttl(KEYS.event(event_id)) <= 3600


def test_a_replayed_event_has_its_full_budget(
    accept: Accept, run_worker: Any, make_due: Any, surehook: Surehook, counts: Any
) -> None:
    is_broken = [False]

    @on("user.delete", name="it", retries=1, backoff=[0])
    def it(event: Event) -> None:
        if is_broken[0]:
            raise OSError

    event_id = accept()
    run_worker()
    is_broken[0] = True
    surehook("events", "replay", event_id)
    run_worker()
    make_due()
    run_worker()

    assert [outcome for _, outcome in counts.runs] == ["done", "failed", "dead letter"]


def test_a_discarded_event_comes_off_what_was_discarded(
    accept: Accept, run_worker: Any, dead_letters: Any, surehook: Surehook, store: redis.Redis
) -> None:
    @on("user.delete", name="it")
    def it(event: Event) -> None:
        raise Permanent

    event_id = accept()
    run_worker()
    dead_letters.discard(dead_letters.of(event_id)[0])

    assert surehook("events", "replay", "--all") == (0, "0 replayed\n")
    assert surehook("events", "replay", "--state", "discarded") == (0, "1 replayed\n")
    assert ledger(store) == {"open": 1, "accepted": 1, "discarded": 0}


def test_an_open_event_is_not_replayed(one_of_each: dict[str, str], surehook: Surehook) -> None:
    status, said = surehook("events", "replay", one_of_each["dead"])

    assert status == 1
    assert "`surehook dead-letters replay`" in said
    assert surehook("events", "replay", one_of_each["running"])[0] == 1


def test_a_bulk_replay_wants_a_filter_or_all_and_can_be_tried_dry(
    one_of_each: dict[str, str], surehook: Surehook, store: redis.Redis
) -> None:
    assert surehook("events", "replay")[0] == 2
    assert surehook("events", "replay", "--type", "user.delete", "--dry-run")[1].endswith("1 would be replayed\n")
    assert ledger(store)["done"] == 2
    assert surehook("events", "replay", "--all", "--rate", "1000") == (0, "2 replayed\n")
    assert ledger(store)["done"] == 0
    assert StatsReader(store, KEYS).read().imbalance == 0


def test_an_event_replayed_twice_at_once_runs_once(
    one_of_each: dict[str, str], settings: Settings, store: redis.Redis
) -> None:
    log = EventLog(store, KEYS, handler_timeout=30)

    assert log.replay(one_of_each["done"])
    assert not log.replay(one_of_each["done"])
