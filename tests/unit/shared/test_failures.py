import pytest

from surehook.shared.failures import Failure, failure_of

TRACEBACK = """Traceback (most recent call last):
  File "/srv/app/handlers.py", line {line}, in welcome
    mailer.start(event)
  File "/srv/app/mailer.py", line 30, in start
    client.post(url)
  File "{library}/site-packages/client.py", line 7, in post
    raise ConnectionError("refused")
ConnectionError: refused
"""


def library() -> str:
    import sysconfig

    return sysconfig.get_path("stdlib")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ValueError: row 17 is missing", "ValueError: row 9,204 is missing"),
        ("OSError: no row for *** (3f0c1d2e-0000-4000-8000-000000000001)", "OSError: no row for *** (c0ffee00-…)"),
        ("E: no row c666a677-8015-4d83-abef-d114b05d80ac", "E: no row be9eacc9-003a-4d50-aebb-24ee1442a048"),
        ("E: no row c666a677-8015-4d83-abef-d114b05d80ac", "E: no row 87ead936-949e-4dc6-8a0b-4a676d6ab92e"),
        ("E: no row ABCDEFAB-CDEF-4ABC-ABCD-ABCDEFABCDEF", "E: no row 87ead936-949e-4dc6-8a0b-4a676d6ab92e"),
        ("E: device de:ad:be:ef:00:01 is gone", "E: device 02:42:ac:11:00:02 is gone"),
        ("E: at 2026-11-28T10:00:00+00:00", "E: at 2025-01-02T23:59:59.123Z"),
        ("E: <ann@example.com> bounced", "E: <bob@mail.example.org> bounced"),
        ("E: no plan 'gold 12'", "E: no plan 'two words'"),
        ('E: no plan "gold 12"', 'E: no plan "x y"'),
        ("E: GET /users/ab12cd34?x=1 failed", "E: GET /users/77?x=2&y=3 failed"),
        ("E: at 0x7f00aa11", "E: at 0x7f00aa22"),
        ("E: two  lines", "E: two lines"),
    ],
)
def test_what_differs_from_event_to_event_does_not_make_another_failure(one: str, other: str) -> None:
    assert failure_of(one, "") == failure_of(other, "")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ValueError: no plan", "KeyError: no plan"),
        ("E: HTTP 404", "E: HTTP 500"),
        ("KeyError: 'email'", "KeyError: 'phone'"),
        (
            "AttributeError: 'NoneType' object has no attribute 'email'",
            "AttributeError: 'NoneType' object has no attribute 'plan'",
        ),
        ("E", "E: said why"),
    ],
)
def test_what_went_wrong_makes_another_failure(one: str, other: str) -> None:
    assert failure_of(one, "").fingerprint != failure_of(other, "").fingerprint


def test_the_frame_is_the_innermost_outside_of_libraries() -> None:
    assert failure_of("E", TRACEBACK.format(line=12, library=library())).frame == "mailer.py, start"


def test_a_handler_in_an_installed_package_is_its_own_frame() -> None:
    text = TRACEBACK.format(line=12, library=library()).replace("/srv/app", f"{library()}/site-packages/app")

    assert failure_of("E", text).frame == "handlers.py, welcome"


def test_the_frame_is_that_of_the_error_and_not_of_its_cause() -> None:
    cause = TRACEBACK.format(line=12, library=library())
    link = "The above exception was the direct cause of the following exception:"
    text = f"{cause}\n{link}\n\n{cause.replace('mailer', 'm')}"

    assert failure_of("E", text).frame == "m.py, start"


def test_lines_may_move_within_a_file() -> None:
    moved = [failure_of("E", TRACEBACK.format(line=line, library=library())) for line in (12, 90)]

    assert moved[0] == moved[1]


def test_another_function_makes_another_failure() -> None:
    text = TRACEBACK.format(line=12, library=library())

    assert failure_of("E", text).fingerprint != failure_of("E", text.replace("in start", "in stop")).fingerprint


@pytest.mark.parametrize("text", ["", "\n\n", 'File "', '  File "/a\x00b", line 1, in f\n', "no traceback", "\ud800"])
def test_any_text_has_a_failure_of_one_line(text: str) -> None:
    failure = failure_of(text, text)

    assert len(failure.packed("code").splitlines()) <= 4
    assert "\n" not in failure.error + failure.frame


def test_a_failure_is_packed_in_lines() -> None:
    assert Failure("f" * 20, "E: a", "h.py, run").packed("c0de") == f"{'f' * 20}\nc0de\nh.py, run\nE: a"
