import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from harness.events import USER_ID, a_body, an_event
from surehook.shared.models import event_from
from surehook.shared.models.account_events import UserCreate
from surehook.workers.execution.masking.error_text import MOST_ERRORS, MaskedError, error_text, mask_error
from surehook.workers.execution.masking.masker import Masker

EVENT: dict[str, Any] = {
    "id": "3f0c9a1b-0000-4000-8000-000000000000",
    "type": "user.create",
    "user": {
        "email": "mara@example.com",
        "firstName": 'Ma"ra\u00e9',
        "active": True,
        "age": 51,
        "phone": 4670001122,
    },
    "token": "ey.secret.token",
    "short": "l1\nl2",
    "note": 'first line\nsecond\'s "line"',
    "info": {"ipAddress": "203.0.113.7", "location": {"city": "G\u00f6teborg"}},
}


def masked(error: BaseException) -> MaskedError:
    return mask_error(error_text(error), EVENT)


@pytest.mark.parametrize(
    "spelling",
    [
        "mara@example.com",
        "mara%40example.com",
        'Ma"raé',
        'Ma\\"raé',
        'Ma\\"ra\\u00e9',
        "ey.secret.token",
        "203.0.113.7",
        "G%C3%B6teborg",
        "4670001122",
    ],
)
def test_a_value_is_masked_in_every_spelling(spelling: str) -> None:
    assert Masker(EVENT).mask(f"no row for {spelling}!") == "no row for ***!"


def test_all_messages_of_a_run_are_masked_alike_long_and_short() -> None:
    masker = Masker(EVENT)
    texts = ["no", 'Ma"raé', "mara@example.com", "4670001122 " + "x" * 500, "mara%40example.com", "G%C3%B6teborg"]

    assert [masker.mask(text) for text in texts] == ["no", "***", "***", "*** " + "x" * 500, "***", "***"]


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        lambda event: repr(event["user"]),
        json.dumps,
        lambda event: json.dumps(event, ensure_ascii=False),
        lambda event: repr(json.dumps(event)),
        lambda event: repr(json.dumps(event).encode()),
        lambda event: repr(json.dumps(event, ensure_ascii=False).encode()),
        lambda event: json.dumps(event).replace("\\u00e9", "\\u00E9").replace("/", "\\/"),
        lambda event: repr([value.encode() for value in (event["user"]["firstName"], event["note"])]),
        lambda event: urlencode({"name": event["user"]["firstName"], "note": event["note"]}),
    ],
)
def test_a_whole_event_in_a_message_is_masked(show: Callable[[dict[str, Any]], str]) -> None:
    text = Masker(EVENT).mask(show(EVENT))

    for part in ("mara", "Ma", "rteborg", "first line", "second", "203.0", "secret", "467000"):
        assert part not in text


def _raise_notes(value: str) -> None:
    error = ValueError("bad")
    error.add_note(f"it was {value}")
    raise error


def _raise_group(value: str) -> None:
    raise ExceptionGroup(f"many {value}", [ValueError(value), ExceptionGroup("in", [KeyError(value)])])


def _raise_syntax_error(value: str) -> None:
    compile(f"x = ({value}", "<rule>", "exec")


def _raise_in_context(value: str) -> None:
    known: dict[str, str] = {}
    try:
        known[value]
    except KeyError:
        int(value)


def _raise_subclass(value: str) -> None:
    class Email(str):
        __slots__ = ()

    raise LookupError(Email(value), [Email(value)], value.encode())


def _raise_unspeakable(value: str) -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise ValueError(value)

    raise Unspeakable


@pytest.mark.parametrize(
    "fail",
    [_raise_notes, _raise_group, _raise_syntax_error, _raise_in_context, _raise_subclass, _raise_unspeakable],
)
@pytest.mark.parametrize("value", [EVENT["note"], 'Ma"ra\u00e9', "203.0.113.7"])
def test_whatever_is_raised_its_words_are_masked(fail: Callable[[str], None], value: str) -> None:
    with pytest.raises(BaseException) as failure:  # noqa: PT011 - any
        fail(value)
    kept = "".join(masked(failure.value))

    assert fail.__name__ in kept
    for part in (value, "first line", "second's", 'Ma"ra', "203.0"):
        assert part not in kept


def test_a_note_of_short_lines_is_masked_as_one_value() -> None:
    error = ValueError("bad")
    error.add_note(EVENT["short"])

    assert "l1" not in masked(error).traceback


def test_what_names_the_event_stays() -> None:
    text = "user.create 3f0c9a1b-0000-4000-8000-000000000000 failed 51 times: True"

    assert Masker(EVENT).mask(text) == text


def test_a_traceback_keeps_its_frames_and_loses_the_values() -> None:
    email = str(EVENT["user"]["email"])

    def fail() -> None:
        try:
            raise KeyError(email)
        except KeyError as exc:
            # A message can look like a frame.
            raise ValueError(f'bad address\n  File "{email}", line 1') from exc

    with pytest.raises(ValueError, match="bad address") as failure:
        fail()
    text = masked(failure.value).traceback

    assert email not in text
    assert text.count("in fail") == 2
    assert "KeyError: '***'" in text
    assert "direct cause" in text


def a_chain(length: int) -> Exception:
    error: Exception = ValueError("the first")
    for number in range(length):
        later = ValueError(f"later {number}")
        later.__cause__ = error
        error = later
    return error


def a_nest(depth: int) -> BaseException:
    error: Exception = ValueError("the innermost")
    for number in range(depth):
        error = ExceptionGroup(f"group {number}", [error])
    return error


@pytest.mark.parametrize(
    ("error", "newest", "oldest"),
    [
        pytest.param(a_chain(5000), "later 4999", "later 4000", id="causes"),
        pytest.param(a_nest(5000), "group 4999", "group 4000", id="groups in groups"),
        pytest.param(ExceptionGroup("all", [a_chain(30) for _ in range(30)]), "all (30", "nothing", id="both"),
    ],
)
def test_of_many_errors_in_one_the_newest_are_kept(error: BaseException, newest: str, oldest: str) -> None:
    text = masked(error).traceback

    assert newest in text
    assert oldest not in text
    assert text.count("Traceback (most recent call last)") == MOST_ERRORS
    assert "left out" in text


def test_errors_in_an_error_stand_in_the_order_in_which_python_shows_them() -> None:
    first, cause, member = ValueError("first"), KeyError("cause"), TypeError("member")
    cause.__context__ = first
    group = ExceptionGroup("group", [member])
    group.__cause__ = cause

    text = masked(group).traceback

    places = [text.index(words) for words in ("first", "another exception", "cause", "direct cause", "group", "member")]
    assert places == sorted(places)


def test_an_error_in_one_line_is_short() -> None:
    line = masked(ValueError("x\n" * 500 + "mara@example.com")).line

    assert len(line) == 200
    assert "\n" not in line


@pytest.mark.parametrize(
    "field",
    [
        pytest.param("id", id="an id, whatever its letters' case"),
        pytest.param("birth_date", id="a day"),
        pytest.param("last_login_instant", id="an instant"),
        pytest.param("insert_instant", id="an instant with milliseconds"),
    ],
)
@pytest.mark.parametrize("write", [str, repr, lambda value: getattr(value, "isoformat", value.__str__)()])
def test_a_typed_value_is_masked_too(field: str, write: Callable[[Any], str]) -> None:
    user = {
        "id": "8F2D6A4E-1111-4C3B-9A55-0C7D5D1E2F30",
        "birthDate": "1990-08-03",
        "lastLoginInstant": 1629912339000,
        "insertInstant": 1629911425124,
    }
    event = event_from(USER_ID, a_body(an_event("user.create", user=user)))
    assert isinstance(event, UserCreate)

    text = Masker({"user": user}).mask(f"no row for {write(getattr(event.user, field))}!")

    assert "***" in text
    assert not re.search(r"1990|2021|8f2d6a4e", text)


def test_a_body_nested_as_deeply_as_python_reads_it_is_masked() -> None:
    event = json.loads('{"user": ' + '{"a": [' * 400 + '"mara@example.com"' + "]}" * 400 + "}")

    assert Masker(event).mask("no mara@example.com") == "no ***"
