"""Each threshold of the doctor is judged on both of its sides."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from surehook.fusionauth.doctor.access import Installation, installation_findings, refused_key
from surehook.fusionauth.doctor.deliveries import delivery_findings
from surehook.fusionauth.doctor.findings import Finding, Level
from surehook.fusionauth.doctor.settings import expiry
from surehook.fusionauth.doctor.signing import signing_findings
from surehook.fusionauth.doctor.store import (
    clock_finding,
    disk_finding,
    memory_finding,
    version_finding,
    write_findings,
)
from surehook.fusionauth.doctor.timeouts import WebhookTimeouts, timeout_findings
from surehook.fusionauth.doctor.transactions import commits_without_us
from surehook.fusionauth.transport import KeyRefused
from surehook.shared.settings import Settings

NOW = datetime(2026, 11, 1, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
SECOND = timedelta(seconds=1)
GIB = 1024**3
SIGNED = Settings(api_keys=("a-key-for-tests-only",), signing_secrets=("a-secret-for-tests-only-0123456789ab",))
LOSES, BLOCKS, ODD, OK = Level.LOSES_EVENTS, Level.BLOCKS_USERS, Level.ODD, Level.OK


def levels(found: Iterable[Finding]) -> dict[str, Level]:
    return {each.check: each.level for each in found}


def an_installation(log: Any = None, key: Any = None, **more: Any) -> Installation:
    hook = {"id": "h", "readTimeout": 2000, "signatureConfiguration": {"enabled": True, "signingKeyId": "k"}}
    configuration = {"webhookEventLogConfiguration": {"enabled": True, **(log or {})}}
    keys = {"k": {"type": "HMAC", "name": "hooks", **(key or {})}}
    given = {"version": "1.69.0", "webhooks": (hook,), "ours": (hook,), "tenants": {}, "keys": keys}
    return Installation(**given | {"configuration": configuration, "integrations": {}} | more)


@pytest.mark.parametrize(
    ("left", "level"),
    [
        (timedelta(), LOSES),
        (SECOND, ODD),
        (timedelta(days=21) - SECOND, ODD),
        (timedelta(days=21), OK),
    ],
)
def test_the_end_of_a_certificate(left: timedelta, level: Level) -> None:
    assert expiry(NOW + left, NOW, "there").level is level


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(), "expired on 2026-11-01"),
        (SECOND, "expires on 2026-11-01"),
        (timedelta(days=30) - SECOND, "expires on 2026-11-30"),
        (timedelta(days=30), None),
    ],
)
def test_the_end_of_a_signing_key(left: timedelta, words: str | None) -> None:
    found = an_installation(key={"expirationInstant": int((NOW + left).timestamp() * 1000)})

    said = [each.wrong for each in signing_findings(SIGNED, found, NOW) if each.check == "signing-key-expiry"]

    assert len(said) == (words is not None)
    assert all(str(words) in each for each in said)


@pytest.mark.parametrize(
    ("log", "level"),
    [
        ({"delete": {"enabled": True, "numberOfDaysToRetain": 6}}, ODD),
        ({"delete": {"enabled": True, "numberOfDaysToRetain": 7}}, OK),
        ({"delete": {"enabled": False, "numberOfDaysToRetain": 1}}, OK),
        ({"enabled": False}, LOSES),
    ],
)
def test_the_retention_of_the_event_log(log: Any, level: Level) -> None:
    assert levels(installation_findings(an_installation(log)))["event-log"] is level


@pytest.mark.parametrize(("version", "level"), [("1.52.9", LOSES), ("1.53.0", OK), ("a build", OK)])
def test_the_first_version_with_an_event_log(version: str, level: Level) -> None:
    assert levels(installation_findings(an_installation(version=version)))["event-log"] is level


@pytest.mark.parametrize(("version", "is_odd"), [("1.47.1", True), ("1.48.0", False)])
def test_the_first_version_that_signs(version: str, is_odd: bool) -> None:
    assert ("fusionauth-version" in levels(installation_findings(an_installation(version=version)))) is is_odd


class Log:
    """An event log with one attempt for each of these durations, by a clock that may be wrong."""

    def __init__(self, durations_ms: Iterable[int] = (), *, statuses: Iterable[int] = (), seconds: float = 0) -> None:
        self._now_ms = NOW_MS + int(seconds * 1000)
        self._rows = [self._row(each, 202) for each in durations_ms] + [self._row(5, each) for each in statuses]

    def now_ms(self) -> int:
        return self._now_ms

    def search_event_log(self, *, start_row: int, **_: Any) -> tuple[int, list[dict[str, Any]]]:
        return len(self._rows), self._rows[start_row:]

    @staticmethod
    def _row(took_ms: int, status: int) -> dict[str, Any]:
        result = "Success" if status == 202 else "Failure"
        attempt = {"webhookId": "h", "startInstant": NOW_MS, "endInstant": NOW_MS + took_ms, "attemptResult": result}
        return {"eventResult": "Succeeded", "attempts": [attempt | {"webhookCallResponse": {"statusCode": status}}]}


def judged(log: Any) -> dict[str, Level]:
    return levels(delivery_findings(log, an_installation(), NOW))


@pytest.mark.parametrize(
    ("durations_ms", "is_slow"),
    [
        ([1000], False),
        ([1001], True),
        ([1] * 19 + [1001], False),
        ([1] * 18 + [1001] * 2, True),
        ([1] * 95 + [1001] * 5, False),
        ([1] * 94 + [1001] * 6, True),
    ],
    ids=["half the timeout", "more", "1 of 20", "2 of 20", "5 of 100", "6 of 100"],
)
def test_slow_is_what_takes_more_than_half_of_the_timeout_in_five_of_a_hundred(
    durations_ms: list[int], is_slow: bool
) -> None:
    assert ("slow-deliveries" in judged(Log(durations_ms))) is is_slow


@pytest.mark.parametrize(("seconds", "is_odd"), [(60, False), (-60, False), (61, True), (-61, True)])
def test_a_minute_between_the_clocks(seconds: int, is_odd: bool) -> None:
    assert ("fusionauth-clock" in judged(Log(seconds=seconds))) is is_odd


@pytest.mark.parametrize(
    ("status", "level"), [(-1, LOSES), (199, LOSES), (202, OK), (301, LOSES), (422, OK), (500, LOSES)]
)
def test_an_answer_that_is_no_success_and_no_refusal_of_ours_loses_an_event(status: int, level: Level) -> None:
    assert judged(Log(statuses=[status]))["deliveries"] is level


@pytest.mark.parametrize(
    ("theirs", "given", "check", "level"),
    [
        ((1000, 1800), {}, "store-timeout", ODD),
        ((1000, 1801), {}, "timeouts", OK),
        ((1000, 2000), {"spool_dir": "off", "store_timeout": 2.0}, "store-timeout", ODD),
        ((1000, 2001), {"spool_dir": "off", "store_timeout": 2.0}, "timeouts", OK),
        ((1000, 2300), {"store_timeout": 2.0}, "store-timeout", ODD),
        ((1000, 2301), {"store_timeout": 2.0}, "timeouts", OK),
        ((1000, 2000), {"transactional_events": ("user.create",), "transaction_timeout": 1.75}, "transaction-timeout",
         BLOCKS),
        ((1000, 2001), {"transactional_events": ("user.create",), "transaction_timeout": 1.75}, "timeouts", OK),
        ((1000, 10_000), {}, "timeouts", OK),
        ((1000, 10_001), {}, "long-timeout", ODD),
        ((10_001, 2000), {}, "long-timeout", ODD),
    ],
)  # fmt: skip
def test_fusionauths_timeouts(theirs: tuple[int, int], given: Any, check: str, level: Level) -> None:
    settings = Settings.model_validate({"api_keys": ("a-key-for-tests-only",), **given})

    assert levels(timeout_findings(settings, WebhookTimeouts(*theirs, "there"))) == {check: level}


@pytest.mark.parametrize(("percent", "level"), [(79, OK), (80, ODD), (94, ODD), (95, LOSES), (100, LOSES)])
@pytest.mark.parametrize("limit", ["maxmemory", "total_system_memory"])
def test_the_stores_memory(percent: int, level: Level, limit: str) -> None:
    assert memory_finding({"used_memory": percent * GIB, "maxmemory": 0, limit: 100 * GIB}).level is level


@pytest.mark.parametrize(("version", "level"), [("6.2.14", LOSES), ("7.0.0", OK), ("8.1.3", OK), ("10.0.0", OK)])
def test_the_oldest_store(version: str, level: Level) -> None:
    assert version_finding({"redis_version": version}).level is level


@pytest.mark.parametrize("field", ["aof_last_write_status", "rdb_last_bgsave_status"])
@pytest.mark.parametrize(("status", "found"), [("ok", []), ("err", [LOSES])])
def test_a_store_that_could_not_write(field: str, status: str, found: list[Level]) -> None:
    assert [each.level for each in write_findings({field: status})] == found


class Clock:
    """A store that has nothing but a clock."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def time(self) -> tuple[int, int]:
        seconds, part = divmod(time.time() + self._seconds, 1)
        return int(seconds), int(part * 1e6)


@pytest.mark.parametrize(("seconds", "level"), [(0, OK), (1.5, OK), (-1.5, OK), (60, ODD), (-60, ODD)])
def test_the_stores_clock(seconds: float, level: Level) -> None:
    assert clock_finding(Clock(seconds)).level is level  # type: ignore[arg-type] # it is asked for its time alone


@pytest.mark.parametrize(("free", "level"), [(GIB - 1, ODD), (GIB, OK)])
def test_the_disk_of_the_embedded_store(
    free: int, level: Level, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))

    assert disk_finding(Settings(api_keys=("a-key-for-tests-only",), data_dir=tmp_path)).level is level


@pytest.mark.parametrize(
    ("setting", "alone", "of_two", "of_three"),
    [
        ("None", True, True, True),
        ("Any", False, True, True),
        ("SimpleMajority", False, True, True),
        ("SuperMajority", False, False, True),
        ("AbsoluteMajority", False, False, False),
    ],
)
def test_a_refusal_counts_as_the_setting_and_the_number_of_webhooks_say(
    setting: str, alone: bool, of_two: bool, of_three: bool
) -> None:
    assert [commits_without_us(setting, webhooks) for webhooks in (1, 2, 3)] == [alone, of_two, of_three]


@pytest.mark.parametrize(
    ("path", "level"),
    [
        ("/api/webhook", LOSES),
        ("/api/system/webhook-event-log/search", LOSES),
        ("/api/key", ODD),
        ("/api/integration", ODD),
    ],
)
def test_a_refused_api_key_is_worst_where_missed_events_cannot_be_found(path: str, level: Level) -> None:
    assert refused_key(KeyRefused("GET", path)).level is level
