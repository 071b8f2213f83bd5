"""The meaning of a search."""

from datetime import UTC, datetime

import pytest

from surehook.dashboard.search import STATES, Search, SearchMistake, parse_search

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()


def parsed(**query: str) -> Search:
    return parse_search(query, NOW)


def test_fields_and_words_mean_the_same() -> None:
    as_fields = parsed(type="user.delete", state="dead", since="2h", handler=" ", tenant="")
    as_words = parsed(q="type:user.delete state:dead since:2h")

    assert as_fields == as_words
    assert as_fields.given == {"type": "user.delete", "state": "dead", "since": "2h"}
    assert as_fields.query(after="x&y") == "type=user.delete&state=dead&since=2h&after=x%26y"


@pytest.mark.parametrize("some_id", ["3F2504E0", "3f25", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"])
def test_an_id_or_its_beginning_is_one(some_id: str) -> None:
    assert parsed(q=some_id).some_id == some_id.lower()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", datetime(2026, 11, 28, 11, 58, 30, tzinfo=UTC)),
        ("3d", datetime(2026, 11, 25, 12, tzinfo=UTC)),
        ("2026-11-27", datetime(2026, 11, 27, tzinfo=UTC)),
        ("2026-11-27T08:15", datetime(2026, 11, 27, 8, 15, tzinfo=UTC)),
        ("2026-11-27 08:15:30", datetime(2026, 11, 27, 8, 15, 30, tzinfo=UTC)),
    ],
)
def test_a_time_is_relative_or_in_utc(text: str, expected: datetime) -> None:
    assert parsed(since=text).instant("since", NOW) == expected
    assert parsed(until=text).instant("until", NOW) == expected


def test_a_group_of_states_is_all_of_them() -> None:
    assert {"open", "closed", "dead"} <= set(STATES)
    assert "dead" in parsed(state="open").states
    assert parsed(state="done").states == ("done",)
    assert parsed().states == ()


@pytest.mark.parametrize(
    "query",
    [
        pytest.param({"q": "mara"}, id="a word"),
        pytest.param({"q": "colour:red"}, id="a filter that there is not"),
        pytest.param({"q": "type:"}, id="no value"),
        pytest.param({"q": "abc"}, id="too short for an id"),
        pytest.param({"state": "broken"}, id="state"),
        pytest.param({"since": "yesterday"}, id="time"),
        pytest.param({"since": "1999999d"}, id="a long time"),
        pytest.param({"until": "٣d"}, id="other digits"),
        pytest.param({"type": "x" * 10_000}, id="a huge value"),
        pytest.param({"q": "x" * 10_000}, id="a huge word"),
    ],
)
def test_what_cannot_be_searched_for_is_said(query: dict[str, str]) -> None:
    with pytest.raises(SearchMistake) as failure:
        parse_search(query, NOW)

    assert len(str(failure.value)) < 300
