"""Masking costs little and stays bounded, and a masked error can still be read."""

import base64
import re
from typing import Any

import pytest

from surehook.workers.execution.masking import values
from surehook.workers.execution.masking.error_text import LONGEST_MESSAGES, error_text, mask_error
from surehook.workers.execution.masking.masker import LEFT_OUT, Masker


def a_user(**fields: Any) -> dict[str, Any]:
    return {"user": fields}


def masked_traceback(message: str, event: dict[str, Any]) -> str:
    with pytest.raises(ValueError, match=re.escape(message[:10])) as failure:
        raise ValueError(message)
    return mask_error(error_text(failure.value), event).traceback


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Error", "ValueError: Error 5 in TimeoutError"),
        ("self", "handle() missing 1 required argument: 'self'"),
        ("None", "'None' is not None"),
        ("true", "expected true, not false"),
        ("file", "No such file or directory"),
        ("Will", "this will fail"),
        ("ACTIVE", "no active connection"),
        ("Mark", "Marked the benchmark"),
        ("Rose", "the rosette rose in primrose"),
        ("note", "there is no test"),
        ("1234", "12345 rows, 1.234 s, 12-34"),
        ("Christian", "christianity"),
    ],
)
def test_a_name_that_is_an_ordinary_word_does_not_hide_the_others(name: str, text: str) -> None:
    assert Masker(a_user(firstName=name)).mask(text) == text


@pytest.mark.parametrize(
    ("value", "text", "masked"),
    [
        ("Mara", "MaraLindqvist mara MARA Mara2 user_Mara", "***Lindqvist mara *** ***2 user_***"),
        ("mara", "Mara mara", "*** ***"),
        ("Mara.Lind@Example.com", "no mara.lind@example.com!", "no ***!"),
        ("Lindqvist", "lindqvist", "***"),
        ("8f2d6a4e-1111-4c3b-9a55-0c7d5d1e2f30", "UUID 8F2D6A4E11114C3B9A550C7D5D1E2F30", "UUID ***"),
        ("+46 70 000 11 22", "tel:+46700001122", "tel:+***"),
        ("Göteborg", "GÖTEBORG, Go\u0308teborg, Goteborg", "***, ***, ***"),
        ("山田太郎", "ユーザー山田太郎は", "ユーザー***は"),
        ("$%&!", "the password $%&! is short", "the password *** is short"),
        ("10.5", "10.5 110.5", "*** 110.5"),
        ("Mar\u200bika", "Marika", "***"),
        ("Zo\u00c3\u00ab Quark", "Zo\\xc3\\xab Quark", "***"),
    ],
)
def test_a_value_is_masked_in_other_forms(value: str, text: str, masked: str) -> None:
    assert Masker(a_user(firstName=value)).mask(text) == masked


@pytest.mark.parametrize(
    "shown",
    [
        "mara.lindqv...ample.com'",
        "mara.lindqvist@e…",
        "...@example.com",
        "mara [...]",
        "mara.lindqvist@ex ... (5 characters truncated) ... mple.com",
    ],
)
def test_the_beginning_and_the_end_of_a_value_are_masked_beside_dots(shown: str) -> None:
    masked = Masker(a_user(email="mara.lindqvist@example.com")).mask(shown)

    assert not re.search("mara|lind|exam|mple", masked)


def test_most_of_a_long_value_is_masked_without_dots_too() -> None:
    token = "".join(f"qz{number:03d}jx" for number in range(100))

    masked = Masker({"token": token}).mask(f"invalid literal for int() with base 10: '{token[:200]}")

    assert masked == "invalid literal for int() with base 10: '***"


def test_the_tenant_and_the_type_of_the_event_stay_readable_in_a_user_too() -> None:
    event = {"type": "user.create", "tenantId": "5b0a7b52-2222", **a_user(tenantId="5b0a7b52-2222", firstName="Mara")}

    assert Masker(event).mask("Mara of 5b0a7b52-2222 in user.create") == "*** of 5b0a7b52-2222 in user.create"


def test_the_class_and_the_frames_stay_readable_whatever_the_user_is_called() -> None:
    name = "masked_traceback"

    traceback = masked_traceback("no row for ValueError", a_user(firstName="ValueError", lastName=name, city="raise"))

    assert "\nValueError: no row for ValueError" in traceback  # a name of Python's own
    assert f"in {name}\n" in traceback
    assert "raise ValueError(message)" in traceback


def test_a_frame_of_a_file_that_does_not_exist_is_masked() -> None:
    code = compile("1 / 0", "mara@example.com", "exec")
    with pytest.raises(ZeroDivisionError) as failure:
        exec(code)  # noqa: S102 - as a handler may

    assert "mara" not in mask_error(error_text(failure.value), a_user(email="mara@example.com")).traceback


def test_a_long_message_is_cut_and_a_value_at_the_cut_is_masked() -> None:
    email = "mara.lindqvist@example.com"
    message = "x " * (LONGEST_MESSAGES // 2 - 8) + email

    traceback = masked_traceback(message, a_user(email=email))

    assert "mara" not in traceback
    assert "characters left out" in traceback
    assert len(traceback) < LONGEST_MESSAGES + 1000


def test_an_event_with_too_many_values_keeps_the_error_without_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MOST_VALUES", 3)

    traceback = masked_traceback("no row for value1", a_user(data=[f"value{number}" for number in range(4)]))

    assert "value1" not in traceback
    assert f"ValueError{LEFT_OUT}" in traceback
    assert "in masked_traceback" in traceback


def test_an_error_of_500_lines_about_20000_users_is_masked_in_one_pass() -> None:
    users = [
        {"email": f"mara{n}@example.com", "firstName": f"Ma'r{n}a", "data": {"no": 10**9 + n}} for n in range(20_000)
    ]
    lines = [f"row {n}: {user}" for n, user in enumerate(users[:500])]

    traceback = masked_traceback("\n".join(lines), {"users": users})

    assert "example" not in traceback
    assert traceback.count("***") > 1000


@pytest.mark.parametrize("text", ["\\", "%25", "&amp;", "...a", "'\n", "\\x41", "a b", "a" * 9])
def test_hostile_texts_take_no_quadratic_time(text: str) -> None:
    event = {"users": ["a" * length for length in range(4, 200)] + ["\\" * 50_000, "%25" * 20_000, "a'" * 50_000]}

    masked = Masker(event).mask((text * LONGEST_MESSAGES)[:LONGEST_MESSAGES])

    assert len(masked) <= LONGEST_MESSAGES * 3


def test_a_run_of_base64_is_masked_whole_where_its_beginning_is_another_run() -> None:
    value = "jjjjjjjjjjjj jjjjjjßßßßß jßЖjßjjjjjj jjjj jjjjjjjjj jjjjjjjjjj"

    assert Masker(a_user(note=value)).mask(f"<{base64.b64encode(value.encode()).decode()}>") in ("<***>", "<***==>")
