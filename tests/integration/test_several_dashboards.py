"""Dashboards behind a balancer, or one after the other, take each other's forms and know each other's browsers."""

from collections.abc import Callable

import pytest
import redis
from cryptography.fernet import Fernet
from starlette.testclient import TestClient

from surehook.dashboard.app import create_dashboard, read_installation_key
from surehook.dashboard.logins import Logins
from surehook.shared.settings import Settings
from tests.integration.test_dashboard_acts import token_in
from tests.support.dashboard import client_of

LOGIN = ("operator", "a-password")
Dashboard = Callable[..., TestClient]


@pytest.fixture
def dashboard(settings: Settings, store: redis.Redis) -> Dashboard:
    """Starts a dashboard as the command does, with time standing still for its guesses."""

    def dashboard(**changes: object) -> TestClient:
        given = {"data_dir": settings.data_dir, "dashboard_login": ":".join(LOGIN), **changes}
        own = Settings.model_validate(given)
        logins = Logins(clock=lambda: 0.0, sleep=lambda _: None)
        return client_of(create_dashboard(own, logins, key=read_installation_key(own, store)))

    return dashboard


def pause(client: TestClient, token: str) -> int:
    form = {"token": token, "verb": "pause", "queue": "events"}
    return int(client.post("/queues", data=form, auth=LOGIN).status_code)


def test_a_form_of_one_dashboard_is_taken_by_another(dashboard: Dashboard, store: redis.Redis) -> None:
    store.sadd("surehook:queues", "events")
    token = token_in(dashboard(), auth=LOGIN)

    assert pause(dashboard(), token) == 303
    assert pause(dashboard(dashboard_login="operator:a-new-password"), token) == 401


def test_a_new_password_ends_the_forms_of_the_old_one(dashboard: Dashboard, store: redis.Redis) -> None:
    store.sadd("surehook:queues", "events")
    token = token_in(dashboard(), auth=LOGIN)
    renewed = dashboard(dashboard_login="operator:a-new-password")

    answer = renewed.post("/queues", data={"token": token}, auth=("operator", "a-new-password"))

    assert answer.status_code == 403
    assert "open for too long, or the login was changed" in answer.text


def test_a_browser_that_logged_in_at_one_does_not_wait_for_guesses_at_another(dashboard: Dashboard) -> None:
    first, second, other = dashboard(), dashboard(), dashboard()
    assert first.get("/", auth=LOGIN).status_code == 200
    for client in (second, other):
        while client.get("/", auth=("operator", "a guess")).status_code == 401:
            pass
    second.cookies = first.cookies

    assert second.get("/", auth=LOGIN).status_code == 200
    assert second.get("/", auth=("operator", "a guess")).status_code == 429
    assert other.get("/", auth=LOGIN).status_code == 429


def test_a_dashboard_without_the_key_of_the_installation_takes_only_its_own_forms(
    dashboard: Dashboard, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    store.sadd("surehook:queues", "events")
    token = token_in(dashboard(encryption_keys=Fernet.generate_key().decode()), auth=LOGIN)
    without = dashboard()

    assert pause(without, token) == 403
    assert pause(without, token_in(without, auth=LOGIN)) == 303
    assert "dashboard's forms end with its process" in caplog.text


def test_a_dashboard_starts_on_a_store_that_takes_no_write(
    settings: Settings, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    store.replicaof("127.0.0.1", "1")
    try:
        assert read_installation_key(settings, store) is None
    finally:
        store.replicaof("NO", "ONE")

    (record,) = caplog.records
    assert record.getMessage() == "dashboard's forms end with its process"
