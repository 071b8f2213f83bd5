"""The bars of a chart."""

import re
from datetime import UTC, datetime, timedelta

from surehook.dashboard.charts import chart
from surehook.dashboard.history import Bar, added

START = datetime(2026, 11, 28, 12, tzinfo=UTC)


def bars(*counts: tuple[int, int], minutes: int = 1) -> list[Bar]:
    return [
        Bar(START + timedelta(minutes=place * minutes), minutes, good, failed)
        for place, (good, failed) in enumerate(counts)
    ]


def heights(svg: str, kind: str) -> list[float]:
    return [float(found) for found in re.findall(rf'<rect class="{kind}"[^>]* height="([\d.]+)"', svg)]


def test_the_highest_bar_fills_the_chart_and_the_others_are_in_proportion() -> None:
    svg = chart(bars((10, 10), (10, 0), (0, 0)), name="it", height=40)

    assert heights(svg, "failed") == [20.0]
    assert heights(svg, "good") == [20.0, 20.0]


def test_one_failure_among_thousands_is_seen() -> None:
    svg = chart(bars((9_999, 1)), name="it", height=28)

    assert heights(svg, "failed") == [2.0]
    assert heights(svg, "good") == [26.0]


def test_the_numbers_are_text_too() -> None:
    svg = chart(bars((1_000, 1), (3, 0), minutes=6), name="<it>")

    assert 'role="img" aria-label="&lt;it&gt;: 1,004 runs, 1 failed; at most 1,001 in 6 minutes"' in svg
    assert "<title>12:00 to 12:06 UTC: 1,001 runs, 1 failed</title>" in svg
    assert "<title>12:06 to 12:12 UTC: 3 runs</title>" in svg


def test_without_runs_there_is_only_the_ground() -> None:
    assert "<rect" not in chart(bars((0, 0)), name="it")
    assert 'aria-label="it: no runs"' in chart([], name="it")


def test_the_bars_of_all_handlers_are_added() -> None:
    assert added([bars((1, 2), (3, 0)), bars((10, 0), (0, 5))]) == bars((11, 2), (3, 5))
    assert added([]) == []
