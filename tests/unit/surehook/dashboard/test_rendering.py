"""How values are written on a page."""

from datetime import UTC, datetime, timedelta

import pytest

from surehook.dashboard.rendering import ago, breakable, commands, duration, plural

AT = datetime(2026, 11, 28, 12, 0, 0, 123_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "now"),
        (7, "7 s ago"),
        (119, "119 s ago"),
        (120, "2 min ago"),
        (3600, "60 min ago"),
        (7200, "2 h ago"),
        (49 * 3600, "2 d ago"),
        (-90, "in 90 s"),
    ],
)
def test_a_time_is_relative_with_the_exact_one_on_hover(seconds: int, words: str) -> None:
    text = ago(AT, (AT + timedelta(seconds=seconds)).timestamp())

    exact = 'datetime="2026-11-28T12:00:00.123+00:00" title="2026-11-28 12:00:00 UTC"'
    assert text == f"<time {exact}>{words}</time>"


def test_a_name_is_broken_after_dots_and_underscores_and_escaped() -> None:
    assert breakable("user.create_x") == "user.<wbr>create_<wbr>x"
    assert breakable("<b>.x\u202e") == "&lt;b&gt;.<wbr>x\\u202e"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.0121, "12 ms"), (1.26, "1.3 s"), (125, "2 min")],  # noqa: RUF001
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_plurals() -> None:
    assert [plural(number, "queue") for number in (0, 1, 2000)] == ["0 queues", "1 queue", "2,000 queues"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Start `surehook worker`.", "Start <code>surehook worker</code>."),
        ("`rq resume` ends that, `rq suspend` not", "<code>rq resume</code> ends that, <code>rq suspend</code> not"),
        ("<b>`<i>`</b>", "&lt;b&gt;<code>&lt;i&gt;</code>&lt;/b&gt;"),
        ("one ` alone", "one ` alone"),
    ],
)
def test_commands_in_a_sentence_stand_out_and_are_escaped(text: str, shown: str) -> None:
    assert commands(text) == shown
