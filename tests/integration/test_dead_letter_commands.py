"""The commands show the groups of dead letters, select by them, and keep what operators did."""

import json
import os
import sys
from typing import Any

import pytest
import redis

from surehook.admin.audit import Audit
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.admin.events import EventLog
from surehook.admin.failure_groups import FailureGroups
from surehook.main import main
from surehook.shared.exit_status import MISCONFIGURED
from surehook.shared.settings import Settings
from tests.integration.conftest import KEYS
from tests.integration.test_audit import audit
from tests.support.command import Surehook, logging_restored
from tests.support.dead_letters import counts, die, groups, surehook
from tests.support.order_machine import an_attempt

__all__ = ["audit", "die", "groups", "surehook"]  # fixtures


@pytest.mark.parametrize(
    "arguments",
    [["dead-letters", "groups", "--handler"], ["queues", "pause"], ["events", "replay", "--type"]],
    ids=" ".join,
)
def test_an_argument_that_is_no_text_is_refused(
    arguments: list[str],
    settings: Settings,
    audit: Audit,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SUREHOOK_DATA_DIR", str(settings.data_dir))
    monkeypatch.setattr(sys, "argv", ["surehook", *arguments, os.fsdecode(b"\xff")])

    with logging_restored(), pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == MISCONFIGURED
    assert capsys.readouterr().err == "surehook: an argument is not valid UTF-8 text\n"
    assert audit.newest() == []


def test_the_command_shows_groups(die: Any, surehook: Surehook) -> None:
    assert surehook("dead-letters", "groups") == (0, "no dead letters\n")
    ids = [die("E: rare"), die("E: row 1"), die("E: row 2")]

    status, shown = surehook("dead-letters", "groups")
    assert status == 0
    header, first, second = shown.splitlines()
    assert header.split()[:2] == ["group", "letters"]
    assert first.split()[1] == "2"
    assert first.endswith("E: row …")
    assert second.split()[-4:] == [ids[0], "it", "E:", "rare"]
    facts = [json.loads(line) for line in surehook("dead-letters", "groups", "--json")[1].splitlines()]
    assert [(fact["letters"], fact["total"], fact["error"]) for fact in facts] == [
        (2, 2, "E: row …"),
        (1, 1, "E: rare"),
    ]
    assert surehook("dead-letters", "groups", "--handler", "other")[1] == "no dead letters\n"


def test_a_group_is_listed_discarded_and_replayed(die: Any, surehook: Surehook, groups: FailureGroups) -> None:
    ids = [die("E: row 1"), die("E: row 2"), die("E: other")]
    group = groups.read()[0]
    listed = surehook("dead-letters", "list", "--group", group.group_id[:5], "--json")[1].splitlines()
    assert [json.loads(line)["event_id"] for line in listed] == ids[:2]

    assert surehook("dead-letters", "discard", "--group", group.group_id, "--reason", "old") == (0, "2 discarded\n")
    assert counts(groups) == [("it", "E: other", 1)]
    assert surehook("dead-letters", "replay", "--group", groups.read()[0].group_id) == (0, "1 replayed\n")
    assert groups.read() == []


def test_an_unknown_group_is_not_found(die: Any, surehook: Surehook) -> None:
    die()

    for some_id in ("0123456789", "zz", "-"):
        status, shown = surehook("dead-letters", "list", "--group", some_id)
        assert status == 3
        assert "surehook dead-letters groups" in shown


def test_discard_wants_a_reason_and_keeps_it(die: Any, surehook: Surehook, store: redis.Redis) -> None:
    event_id = die()

    assert surehook("dead-letters", "discard", event_id)[0] == 2
    assert surehook("dead-letters", "discard", event_id, "--reason", " ")[0] == 2
    assert surehook("dead-letters", "discard", event_id, "--reason", "x" * 201)[0] == 2
    assert surehook("dead-letters", "discard", event_id, "--reason", "account closed") == (0, "1 discarded\n")

    (action,) = EventLog(store, KEYS, handler_timeout=30).actions(event_id)
    assert (action.action, action.reason) == ("discarded", "account closed")
    assert "@" in action.who
    assert "account closed" in surehook("events", "show", event_id)[1]


def test_an_event_keeps_its_last_ten_actions(
    die: Any, dead_letters: DeadLetters, store: redis.Redis, claims_of: Any
) -> None:
    event_id = die()
    for number in range(12):
        assert dead_letters.replay(next(dead_letters.matching(Filter())), who="ann", reason=str(number))
        claims_of().bury(claims_of().claim(), an_attempt("it"), "")

    actions = EventLog(store, KEYS, handler_timeout=30).actions(event_id)

    assert [action.reason for action in actions] == [str(number) for number in range(2, 12)]
