"""Events in spools: an erased one never runs, and no command is blind to them."""

import sqlite3
from pathlib import Path

import pytest
import redis
from cryptography.fernet import Fernet
from pydantic import SecretStr

from harness.events import an_event
from harness.stack import wait_until
from surehook.shared.exit_status import FAILED, NOT_FOUND
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from tests.support.command import Surehook
from tests.support.endpoint import OpenEndpoint, open_endpoint
from tests.support.ledger import is_balanced
from tests.support.spooling import databases, leave
from tests.support.store_faults import not_durable

USER, OTHER = "0a0a0a0a-0000-4000-8000-00000000000a", "0b0b0b0b-0000-4000-8000-00000000000b"
KEYS = Keys()


pytestmark = pytest.mark.usefixtures("looks_often", "is_patient")


def of_user(user_id: str, **fields: object) -> dict[str, object]:
    event: dict[str, object] = an_event(**fields)  # type: ignore[arg-type]
    event["user"] = {"id": user_id, "email": "erased@example.com"}
    return event


def content(spooling: Settings) -> bytes:
    return b"".join(path.read_bytes() for path in Path(spooling.spool_dir).iterdir())


def forward(spooling: Settings, store: redis.Redis, *expected: dict[str, object]) -> None:
    with open_endpoint(spooling):
        wait_until(lambda: len(databases(spooling.spool_dir)) == 1, "all are forwarded")
    assert store.zcard(KEYS.open) == len(expected)
    assert all(store.exists(KEYS.event(str(event["id"]))) for event in expected)
    assert is_balanced(store)


def test_a_users_events_are_erased_in_the_spool_of_this_machine(
    spooling: Settings, store: redis.Redis, surehook: Surehook
) -> None:
    own, others, mention = of_user(USER), of_user(OTHER), of_user(OTHER, note=USER.upper())
    leave(spooling, store, [own, others, mention])

    dry = surehook("events", "erase", "--user", USER, "--dry-run")
    assert "1 events would be erased in this machine's spool" in dry[1]
    status, output = surehook("events", "erase", "--user", USER)

    assert status == 0
    assert "1 events erased in this machine's spool" in output
    assert f"1 events of other users mention this user and stay (erase them by id): {mention['id']}" in output
    assert str(own["id"]).encode() not in content(spooling)
    forward(spooling, store, others, mention)


def test_events_of_an_erased_user_in_the_spools_of_other_machines_are_dropped_when_they_arrive(
    spooling: Settings, store: redis.Redis, surehook: Surehook, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, others = of_user(USER), of_user(OTHER)
    leave(spooling, store, [own, others])
    monkeypatch.setenv("SUREHOOK_SPOOL_DIR", "off")  # the command runs on a machine without this spool

    assert surehook("events", "erase", "--user", USER)[0] == 0

    forward(spooling, store, others)
    with open_endpoint(spooling) as endpoint:
        assert endpoint.deliver(own).status_code == 200, "its id stays known"
        assert endpoint.deliver(of_user(USER)).status_code == 202, "a later event of the user is a new one"


def test_an_event_is_erased_by_its_id_wherever_it_waits(
    spooling: Settings, store: redis.Redis, surehook: Surehook, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere, kept = of_user(USER), of_user(USER), of_user(USER)
    leave(spooling, store, [here, elsewhere, kept])

    assert surehook("events", "erase", str(here["id"])) == (
        0,
        "1 events erased in this machine's spool\n0 events erased, 0 attempts, 0 dead letters\n",
    )
    monkeypatch.setenv("SUREHOOK_SPOOL_DIR", "off")
    status, error = surehook("events", "erase", str(elsewhere["id"]))

    assert (status, "it will not run" in error) == (NOT_FOUND, True)
    forward(spooling, store, kept)


def test_an_event_is_erased_in_the_spool_of_a_running_process(
    spooling: Settings, store: redis.Redis, surehook: Surehook
) -> None:
    event = of_user(USER)
    with open_endpoint(spooling) as endpoint:
        with not_durable(store):
            wait_until(lambda: is_spooling(endpoint), "events are spooled")
            assert endpoint.deliver(event).status_code == 202
            assert "1 events erased in this machine's spool" in surehook("events", "erase", "--user", USER)[1]
        wait_until(lambda: endpoint.metric("surehook_spooled_events") == 0, "the others are forwarded")
        assert endpoint.deliver(event).status_code == 200, "its id stays known"
    assert not store.exists(KEYS.event(str(event["id"])))


def is_spooling(endpoint: OpenEndpoint) -> bool:
    endpoint.deliver(of_user(OTHER))
    return endpoint.metric("surehook_spooled_events") > 0


def test_a_database_that_cannot_be_searched_is_named_with_the_exit_status(
    spooling: Settings, store: redis.Redis, surehook: Surehook
) -> None:
    event = of_user(USER)
    leave(spooling, store, [event])
    aside = Path(spooling.spool_dir) / "damaged.sqlite3.set-aside"
    aside.write_text("damaged")

    status, error = surehook("events", "erase", "--user", USER)

    assert (status, str(aside) in error) == (FAILED, True)
    assert str(event["id"]).encode() not in content(spooling)


def test_commands_know_of_spooled_events(spooling: Settings, store: redis.Redis, surehook: Surehook) -> None:
    event = of_user(USER)
    leave(spooling, store, [event])
    event_id = str(event["id"])

    for command in (("events", "show", event_id), ("events", "replay", event_id)):
        status, error = surehook(*command)
        assert (status, f"event {event_id}, {event['type']}, received" in error) == (NOT_FOUND, True)
        assert "waits in this machine's spool" in error
    assert "1 more wait in this machine's spool" in surehook("events", "list")[1]


def test_a_key_under_which_events_wait_in_the_spool_is_not_called_dispensable(
    spooling: Settings, store: redis.Redis, surehook: Surehook, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    leave(spooling.model_copy(update={"encryption_keys": (SecretStr(old),)}), store, [of_user(USER)])

    monkeypatch.setenv("SUREHOOK_ENCRYPTION_KEYS", f"{new},{old}")
    status, output = surehook("keys", "rotate")
    assert (status, "1 spooled events on this machine with key" in output) == (FAILED, True)
    assert "keep it until they are forwarded" in output

    monkeypatch.setenv("SUREHOOK_ENCRYPTION_KEYS", new)
    assert "1 spooled events unreadable" in surehook("keys", "rotate")[1]

    both = (SecretStr(new), SecretStr(old))
    with open_endpoint(spooling.model_copy(update={"encryption_keys": both})):
        wait_until(lambda: len(databases(spooling.spool_dir)) == 1, "it is forwarded")
    assert store.zcard(KEYS.open) == 1
    assert surehook("keys", "rotate")[0] == 0


def test_rows_that_another_program_deletes_do_not_keep_the_forwarder_busy(
    spooling: Settings, store: redis.Redis
) -> None:
    with open_endpoint(spooling) as endpoint:
        with not_durable(store):
            wait_until(lambda: is_spooling(endpoint), "events are spooled")
            (path,) = databases(spooling.spool_dir)
            with sqlite3.connect(path) as other:
                other.execute("delete from events")
            other.close()
        wait_until(lambda: endpoint.metric("surehook_spooled_events") == 0, "nothing waits")
        wait_until(lambda: store.exists(KEYS.event(endpoint.deliver().json()["eventId"])), "new events are not spooled")
