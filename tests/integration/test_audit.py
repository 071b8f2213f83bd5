"""The audit says who did what to how many events, and why; it is bounded."""

import json
from typing import Any

import pytest
import redis

from harness.events import USER_ID
from surehook.admin.actions import operator
from surehook.admin.audit import Audit, masked_user
from tests.integration.conftest import KEYS, Accept
from tests.support.command import Surehook
from tests.support.dead_letters import die, surehook

__all__ = ["die", "surehook"]  # fixtures


@pytest.fixture
def audit(store: redis.Redis) -> Audit:
    return Audit(store, KEYS)


def test_commands_are_in_the_audit(die: Any, accept: Accept, surehook: Surehook, audit: Audit) -> None:
    one, other, open_one = die(), die(), accept()

    for command, action, target in (
        (["dead-letters", "discard", one, "--reason", "account closed"], "discarded", one),
        (["events", "replay", one], "event replayed", one),
        (["dead-letters", "replay", other], "replayed", other),
        (["queues", "pause", "events"], "queue paused", "events"),
        (["queues", "resume", "events"], "queue resumed", "events"),
        (["events", "show", open_one, "--body"], "body shown", open_one),
        (["events", "erase", open_one], "erased", open_one),
        (["events", "erase", "--user", USER_ID], "erased", masked_user(USER_ID)),
    ):
        assert surehook(*command)[0] == 0, command
        newest = audit.newest(1)[0]
        assert (newest.who, newest.action, newest.target) == (operator(), action, target)

    assert audit.newest()[-1].reason == "account closed"
    assert USER_ID not in str(audit.newest())


def test_the_text_of_an_error_filter_is_with_the_action_and_not_in_the_audit(
    die: Any, surehook: Surehook, audit: Audit
) -> None:
    die("ValueError: no row for Bo")

    assert surehook("dead-letters", "discard", "--error", "row for Bo", "--reason", "old")[0] == 0

    assert {entry.target for entry in audit.newest() if entry.action_id} == {"dead letters: error …"}
    assert "row for Bo" not in str(audit.newest())
    assert "dead letters: error row for Bo" in surehook("actions", "list")[1]


def test_each_of_many_events_is_in_the_audit_by_its_whole_id(die: Any, surehook: Surehook, audit: Audit) -> None:
    ids = sorted(die() for _ in range(15))
    assert surehook("dead-letters", "discard", "--all", "--reason", "old")[0] == 0

    for command, action in (("replay", "event replayed"), ("erase", "erased")):
        given = [event_id[:13] for event_id in ids] if command == "replay" else ids
        assert surehook("events", command, *given)[0] == 0

        entries = audit.newest(15)
        assert {(entry.action, entry.count) for entry in entries} == {(action, 1)}
        assert sorted(entry.target for entry in entries) == ids


@pytest.mark.parametrize(
    "command",
    [
        ["dead-letters", "replay", "--all", "--dry-run"],
        ["dead-letters", "discard", "--all", "--dry-run"],
        ["events", "replay", "--all", "--dry-run"],
        ["events", "erase", "--user", USER_ID, "--dry-run"],
        ["events", "list"],
        ["dead-letters", "groups"],
    ],
    ids=" ".join,
)
def test_what_changes_nothing_is_not_in_the_audit(
    command: list[str], die: Any, surehook: Surehook, audit: Audit
) -> None:
    die()

    assert surehook(*command)[0] == 0

    assert audit.newest() == []


def test_the_audit_is_read_with_a_command(surehook: Surehook, audit: Audit) -> None:
    assert surehook("audit") == (0, "no actions\n")
    audit.write("ann@desk", "queue paused", target="events")
    audit.write("bob", "discarded", target="some event", count=3, reason="it said \x1b[31m so")

    status, shown = surehook("audit")
    assert status == 0
    first, second = shown.splitlines()
    assert "bob  discarded  some event  3 events" in first
    assert "\x1b" not in first
    assert second.endswith("ann@desk  queue paused  events")
    (newest,) = (json.loads(line) for line in surehook("audit", "--limit", "1", "--json")[1].splitlines())
    assert (newest["who"], newest["count"]) == ("bob", 3)
    assert surehook("audit", "--since", "2099-01-01") == (0, "no actions\n")
    assert len(surehook("audit", "--since", "1900-01-01")[1].splitlines()) == 2


def test_the_audit_is_bounded(audit: Audit, store: redis.Redis) -> None:
    with store.pipeline(transaction=False) as pipeline:
        for _ in range(10_000):
            pipeline.xadd(KEYS.audit, {"who": "", "action": "old", "target": "", "count": 1, "reason": "", "bulk": ""})
        pipeline.execute()

    audit.write("ann", "new")

    assert store.xlen(KEYS.audit) == 10_000
    assert audit.newest(1)[0].action == "new"
