"""The thresholds of queues, spool, handlers and endpoint are judged on both of their sides."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from surehook.fusionauth.doctor import deliveries
from surehook.fusionauth.doctor.deliveries import PERIODS, delivery_findings
from surehook.fusionauth.doctor.endpoint import speed_findings
from surehook.fusionauth.doctor.findings import Level
from surehook.fusionauth.doctor.handlers import LARGEST_IMPORT_BYTES, handler_findings
from surehook.fusionauth.doctor.queues import state_findings, whole_findings
from surehook.fusionauth.doctor.spool import room_findings
from surehook.shared.settings import Settings
from surehook.shared.stats import LimitState, QueueStats, Stats
from surehook.workers.handlers.registry import Registry, declared, on
from tests.unit.surehook.fusionauth.doctor.test_thresholds import NOW, NOW_MS, an_installation, levels

LOSES, ODD, OK = Level.LOSES_EVENTS, Level.ODD, Level.OK
QUEUE = QueueStats("events", 1, 0, 0, 0, 0, is_paused=False, oldest_waiting_seconds=0.0, workers=1)
STATS = Stats("", 0, 0, 0, 0, 0, 0, 0, 0, is_suspended=False, queues=(QUEUE,))


def settings(**given: Any) -> Settings:
    return Settings.model_validate({"api_keys": ("a-key-for-tests-only",), **given})


@pytest.mark.parametrize(("seconds", "found"), [(300.0, {}), (300.1, {"late": ODD})])
def test_the_oldest_job_of_a_queue(seconds: float, found: dict[str, Level]) -> None:
    queue = replace(QUEUE, oldest_waiting_seconds=seconds)

    assert levels(state_findings(queue, settings(), is_used=True)) == found


@pytest.mark.parametrize(("dead", "found"), [(0, {}), (1, {"dead-letters": ODD})])
def test_the_dead_letters_of_a_queue(dead: int, found: dict[str, Level]) -> None:
    assert levels(state_findings(replace(QUEUE, dead=dead), settings(), is_used=True)) == found


@pytest.mark.parametrize(("waiting", "found"), [(0, {}), (1, {"unused-queue": ODD})])
def test_the_jobs_of_a_queue_that_no_handler_uses(waiting: int, found: dict[str, Level]) -> None:
    assert levels(state_findings(replace(QUEUE, waiting=waiting), settings(), is_used=False)) == found


@pytest.mark.parametrize(("seconds", "found"), [(None, {}), (60.0, {"breaker": ODD})])
def test_the_breaker_of_a_queue(seconds: float | None, found: dict[str, Level]) -> None:
    limits = LimitState(2, None, False, True, seconds, "", None)

    assert levels(state_findings(replace(QUEUE, limits=limits), settings(), is_used=True)) == found


@pytest.mark.parametrize(("events", "level"), [(0, OK), (799, OK), (800, LOSES), (1000, LOSES)])
def test_the_backlog(events: int, level: Level) -> None:
    stats = replace(STATS, open=events, accepted=events, queues=(replace(QUEUE, waiting=events),))

    assert levels(whole_findings(stats, settings(max_backlog=1000)))["backlog"] is level


@pytest.mark.parametrize(("free", "found"), [(1023 * 1024**2, {"spool-room": ODD}), (1024**3, {})])
def test_the_room_for_the_spool(free: int, found: dict[str, Level]) -> None:
    assert levels(room_findings(Path("spool"), free, settings(spool_max_bytes=1024**3))) == found


@pytest.mark.parametrize(("size", "found"), [(LARGEST_IMPORT_BYTES - 1, {"imports": ODD}), (LARGEST_IMPORT_BYTES, {})])
def test_the_largest_import(size: int, found: dict[str, Level]) -> None:
    on("user.bulk.create", name="imports")(lambda event: None)

    assert levels(handler_findings(settings(max_body_bytes=size), Registry(declared[-1:]))) == found


@pytest.mark.parametrize(("seconds", "found"), [(1.0, {}), (1.01, {"slow": ODD})])
def test_the_time_for_a_response(seconds: float, found: dict[str, Level]) -> None:
    assert levels(speed_findings("http://127.0.0.1:9/hook", seconds)) == found


@pytest.mark.parametrize(
    ("an_hour", "period"), [(3, "day"), (4, "hour")], ids=["few enough in a day", "one more, all in the last hour"]
)
def test_the_entries_of_a_period(an_hour: int, period: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four in the day are too many, so the last hour is read, which has three."""
    monkeypatch.setattr(deliveries, "MOST_ENTRIES", 3)
    rows = [{"id": str(n)} for n in range(3)]

    class Log:
        def now_ms(self) -> int:
            return NOW_MS

        def search_event_log(self, *, start_ms: int, start_row: int, **_: Any) -> tuple[int, list[dict[str, Any]]]:
            is_day = NOW_MS - start_ms == PERIODS[0][0]
            return (an_hour if is_day else 3), rows[start_row:]

    (said,) = [each.wrong for each in delivery_findings(Log(), an_installation(), NOW) if each.check == "deliveries"]  # type: ignore[arg-type] # it is asked for its log alone

    assert said == f"Of 3 events in the last {period} none failed here."
