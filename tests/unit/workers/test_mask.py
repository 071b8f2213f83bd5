import pytest

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
