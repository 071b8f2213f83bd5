import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from shared.models import event_from
from shared.models.account_events import UserCreate
from tests.support.events import USER_ID, a_body, an_event
from workers.mask import Masker

EVENT = {
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
    "info": {"ipAddress": "203.0.113.7", "location": {"city": "G\u00f6teborg"}},
}


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


def test_what_names_the_event_stays() -> None:
    text = "user.create 3f0c9a1b-0000-4000-8000-000000000000 failed 51 times: True"

    assert Masker(EVENT).mask(text) == text


def test_a_traceback_keeps_its_frames_and_loses_the_values() -> None:
    email = str(EVENT["user"]["email"])  # type: ignore[index]

    def fail() -> None:
        try:
            raise KeyError(email)
        except KeyError as exc:
            # A message can look like a frame.
            raise ValueError(f'bad address\n  File "{email}", line 1') from exc

    with pytest.raises(ValueError, match="bad address") as failure:
        fail()
    text = Masker(EVENT).traceback_of(failure.value)

    assert email not in text
    assert text.count("in fail") == 2
    assert "KeyError: '***'" in text
    assert "direct cause" in text


def test_an_error_in_one_line_is_short() -> None:
    line = Masker(EVENT).error(ValueError("x\n" * 500 + "mara@example.com"))

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

    masked = Masker({"user": user}).mask(f"no row for {write(getattr(event.user, field))}!")

    assert "***" in masked
    assert not re.search(r"1990|2021|8f2d6a4e", masked)


def test_a_body_nested_as_deeply_as_python_reads_it_is_masked() -> None:
    event = json.loads('{"user": ' + '{"a": [' * 400 + '"mara@example.com"' + "]}" * 400 + "}")

    assert Masker(event).mask("no mara@example.com") == "no ***"
