"""`surehook trigger --set` changes fields of an event."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from surehook.fusionauth.changes import changed
from surehook.main import cli
from surehook.shared.errors import Misconfigured

EVENT = {"type": "user.update", "id": "a", "user": {"email": "old@example.com", "registrations": [{"roles": ["a"]}]}}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ("user.email=ada@example.com", ("user", "email", "ada@example.com")),
        ("user.first_name=Ada", ("user", "firstName", "Ada")),
        ("user.username=007", ("user", "username", "007")),
        ("user.birthDate=1990-08-03", ("user", "birthDate", "1990-08-03")),
        ("user.active=false", ("user", "active", False)),
        ("user.lastLoginInstant=1700000000000", ("user", "lastLoginInstant", 1700000000000)),
        ("user.data.plan=5", ("user", "data", "plan", 5)),
        ("user.data.favorite_color=red=blue", ("user", "data", "favorite_color", "red=blue")),
        ('user.registrations.0.roles=["b", "c"]', ("user", "registrations", 0, "roles", ["b", "c"])),
        ("brandNew.deep.er=x", ("brandNew", "deep", "er", "x")),
        ("linkedObjectId=5", ("linkedObjectId", "5")),
    ],
)
def test_a_field_is_set(change: str, field: tuple[Any, ...]) -> None:
    *path, expected = field
    found: Any = changed(EVENT, [change])
    for name in path:
        found = found[name]

    assert found == expected
    assert EVENT["user"] == {"email": "old@example.com", "registrations": [{"roles": ["a"]}]}


def test_null_leaves_a_field_out() -> None:
    assert "email" not in changed(EVENT, ["user.email=null", "user.lastName=null"])["user"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("user.email", "takes a field and its value"),
        ("=x", "takes a field and its value"),
        ("user..email=x", "takes a field and its value"),
        ("usr.email=x", "UserUpdate has no field usr: did you mean user"),
        ("user.emial=x", "User has no field emial: did you mean email"),
        ("user.registrations.roles=x", "position in the list, 0 to 0, instead of roles"),
        ("user.registrations.7.roles=x", "position in the list"),
        ("user.email.domain=x", "email is no object"),
    ],
)
def test_a_wrong_change_is_a_mistake_that_says_what_to_write(change: str, says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        changed(EVENT, [change])


def printed(*arguments: str) -> list[dict[str, Any]]:
    shown = CliRunner().invoke(cli, ["trigger", *arguments, "--print"], catch_exceptions=False)
    assert shown.exit_code == 0
    texts = [shown.output] if "--count" not in arguments else shown.output.splitlines()
    return [json.loads(text)["event"] for text in texts]


def test_what_would_be_sent_is_printed_and_needs_no_endpoint(tmp_path: Any) -> None:
    (event,) = printed("user.delete", "--set", "user.email=ada@example.com")
    assert (event["type"], event["user"]["email"]) == ("user.delete", "ada@example.com")

    file = tmp_path / "body.json"
    file.write_text(json.dumps({"event": event}))
    (same,) = printed("--data", str(file))
    copies = printed("--data", str(file), "--count", "3", "--set", "user.firstName=Ada")

    assert same == event
    assert len({each["id"] for each in (event, *copies)}) == 4
    assert [each["user"] for each in copies] == [event["user"] | {"firstName": "Ada"}] * 3


def test_one_id_is_not_given_to_several() -> None:
    ended = CliRunner().invoke(cli, ["trigger", "test", "--count", "2", "--set", "id=a"])

    assert isinstance(ended.exception, Misconfigured)
