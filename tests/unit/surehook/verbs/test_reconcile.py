"""A run of `surehook reconcile` shows on a terminal how far it has come, and says what holds it up."""

from types import SimpleNamespace
from typing import Any

import pytest

from surehook.fusionauth.reconcile.statement import Statement
from surehook.verbs.progress import Progress
from surehook.verbs.reconcile import SLOW_SEARCH_SECONDS, Position, TimedLog

COLUMNS = 80


class Line(Progress):
    """Keeps what would be shown."""

    def __init__(self) -> None:
        super().__init__("searches")
        self.details: list[str] = []

    def step(self, count: int = 1, detail: str = "") -> None:
        self.details.append(detail)


def test_a_long_run_shows_the_instant_the_share_and_what_it_recovered() -> None:
    line = Line()
    position = Position(line, start_ms=1_790_000_000_000, end_ms=1_790_000_400_000)

    position.step()
    position.go_on(1_790_000_100_000, Statement(0, 0, recovered=1_204_711))
    position.step()

    assert line.details == ["", ": up to 2026-09-21 14:15:00Z (25%), 1,204,711 recovered"]
    assert len("searches 1,234,567" + line.details[1]) < COLUMNS


@pytest.mark.parametrize(
    ("seconds", "times"),
    [(SLOW_SEARCH_SECONDS, 0), (SLOW_SEARCH_SECONDS + 0.1, 1)],
    ids=["a search that takes its time", "a slow search"],
)
def test_slow_searches_are_told_once(
    seconds: float, times: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("surehook.verbs.reconcile.time", SimpleNamespace(monotonic=lambda: clock.now))

    class Slow:
        def search_event_log(self, **_: Any) -> tuple[int, list[dict[str, Any]]]:
            clock.now += seconds
            return 0, []

    log = TimedLog(Slow())
    for _ in range(3):
        clock.now += 60  # storing what was found
        assert log.search_event_log(start_ms=0, end_ms=1, start_row=0, rows=1) == (0, [])

    assert capsys.readouterr().err.count("answers slowly") == times
