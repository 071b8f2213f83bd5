"""Settings that lose events or let forgeries in are found before anything runs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from surehook.fusionauth.doctor.findings import Level
from surehook.fusionauth.doctor.settings import mistakes_in_settings, settings_findings
from surehook.fusionauth.doctor.timeouts import DOCUMENTED, WebhookTimeouts, timeout_findings
from surehook.shared.errors import Misconfigured
from surehook.shared.settings import Settings
from tests.support.expiring_certificate import a_certificate

NOW = datetime(2026, 11, 1, tzinfo=UTC)
KEY = {"api_keys": ("a-key-for-tests-only",)}
SIGNED = KEY | {"signing_secrets": ("a-secret-for-tests-only-0123456789ab",)}


@pytest.mark.parametrize(
    ("given", "check", "level"),
    [
        pytest.param({}, "authentication", Level.LOSES_EVENTS, id="no authentication"),
        pytest.param({"allow_unauthenticated": True}, "authentication", Level.ODD, id="everybody may send"),
        pytest.param(KEY, "signature", Level.ODD, id="unsigned"),
        pytest.param(SIGNED, "authentication", Level.OK, id="signed"),
        pytest.param(
            KEY | {"signing_public_keys": ("missing.pem",)}, "authentication", Level.LOSES_EVENTS, id="no key file"
        ),
        pytest.param(
            SIGNED | {"tls_cert": "missing.pem", "tls_key": "missing.pem"},
            "certificate",
            Level.LOSES_EVENTS,
            id="no certificate",
        ),
    ],
)
def test_settings_are_judged(given: dict[str, object], check: str, level: Level) -> None:
    found = {each.check: each.level for each in settings_findings(Settings.model_validate(given), NOW)}

    assert found[check] is level


@pytest.mark.parametrize(
    ("days", "level"), [(-1, Level.LOSES_EVENTS), (5, Level.ODD), (90, Level.OK)], ids=["over", "soon", "valid"]
)
def test_an_expiring_certificate_is_told(days: int, level: Level, tmp_path: Path) -> None:
    certificate, key = a_certificate(tmp_path, NOW + timedelta(days=days))
    settings = Settings(api_keys=("a-key-for-tests-only",), tls_cert=certificate, tls_key=key)

    found = {each.check: each.level for each in settings_findings(settings, NOW)}

    assert found["certificate"] is level


def test_each_mistake_in_the_settings_is_a_finding() -> None:
    found = mistakes_in_settings(Misconfigured("SUREHOOK_BIND=x: expected host:port\nSUREHOOK_HANDLER is no setting"))

    assert [each.level for each in found] == [Level.LOSES_EVENTS] * 2
    assert found[1].wrong == "SUREHOOK_HANDLER is no setting"


@pytest.mark.parametrize(
    ("given", "theirs", "check", "level"),
    [
        pytest.param({}, (1000, 2000), "timeouts", Level.OK, id="documented timeouts"),
        pytest.param({}, (1000, 1500), "store-timeout", Level.ODD, id="shorter than the spool takes"),
        pytest.param(
            {"spool_dir": "off", "store_timeout": 3}, (1000, 2000), "store-timeout", Level.ODD, id="a patient store"
        ),
        pytest.param(
            {"transactional_events": ("user.create",), "transaction_timeout": 1.8},
            (1000, 2000),
            "transaction-timeout",
            Level.BLOCKS_USERS,
            id="no time to confirm",
        ),
        pytest.param({"transaction_timeout": 9}, (1000, 2000), "timeouts", Level.OK, id="no transactions"),
        pytest.param({}, (1000, 60_000), "long-timeout", Level.ODD, id="users wait a minute"),
    ],
)
def test_timeouts_are_compared(given: dict[str, object], theirs: tuple[int, int], check: str, level: Level) -> None:
    settings = Settings.model_validate(KEY | given)

    found = {each.check: each.level for each in timeout_findings(settings, WebhookTimeouts(*theirs, "there"))}

    assert found == {check: level}
    assert DOCUMENTED.read_ms == 2000
