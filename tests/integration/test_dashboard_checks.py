"""The checks in the pages: the statement of completeness, the doctor, and the buttons of the overview."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from pydantic import SecretStr
from starlette.testclient import TestClient

from harness.stack import free_port, wait_until
from surehook.dashboard import doctor
from surehook.shared.settings import Settings
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_dashboard_acts import Post, client, post, token_in
from tests.support.dashboard import site_client
from tests.support.dead_letters import die

__all__ = ["client", "die", "post"]  # fixtures

HOUR_MS = 3_600_000


def save_statement(store: redis.Redis, *, complete: bool, sentence: str = "It fired 3 events for us:") -> None:
    now = time.time()
    statement = {
        "since": "", "until": "", "saved_at": now - 7300, "complete": complete, "sentences": [sentence],
        "problems": [], "decided_until": now * 1000 - 3 * HOUR_MS,
    }  # fmt: skip
    store.hset(KEYS.reconciled, "statement", json.dumps(statement))


def test_the_last_statement_is_shown_with_its_age(accept: Accept, client: TestClient, store: redis.Redis) -> None:
    accept()
    assert "<code>surehook reconcile</code> has not run yet" in client.get("/ledger").text
    assert "not compared yet" in client.get("/").text

    save_statement(store, complete=True, sentence="<b>It fired 3 events")

    shown, overview = client.get("/ledger").text, client.get("/").text
    assert "&lt;b&gt;It fired 3 events" in shown
    assert "Nothing is missing." in shown
    assert ">2 h ago</time>" in shown
    assert ">3 h ago</time>" in shown
    assert "is decided" in overview
    assert "missing here" not in overview


def test_a_statement_with_missing_events_needs_a_person(client: TestClient, store: redis.Redis) -> None:
    save_statement(store, complete=False)

    assert "FusionAuth fired events that are missing here" in client.get("/").text
    assert "This is not complete." in client.get("/ledger").text


def test_the_doctor_runs_on_a_click_and_its_findings_stay(
    settings: Settings, post: Post, client: TestClient, monkeypatch: pytest.MonkeyPatch, store: redis.Redis
) -> None:
    monkeypatch.setenv("SUREHOOK_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("SUREHOOK_BIND", f"127.0.0.1:{free_port()}")  # the doctor asks an endpoint there
    assert "has not run since this dashboard was started" in client.get("/doctor").text

    assert post("/doctor").headers["Location"] == "/doctor"
    wait_until(lambda: "As of" in client.get("/doctor").text, "it has ended", 90)

    shown = client.get("/doctor").text
    assert "FusionAuth was not asked." in shown
    assert "Change: SUREHOOK_FUSIONAUTH_URL" in shown
    assert "Doctor</a>" in client.get("/").text
    assert store.xlen(KEYS.audit) == 1


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("print('no JSON')", "it could not be run (JSONDecodeError)"),
        ("print(3)", "it could not be run (TypeError)"),
        ("import time; time.sleep(60)", "it had not ended after 0 seconds"),
    ],
    ids=["no JSON", "other JSON", "too long"],
)
def test_a_doctor_that_finds_nothing_says_why(
    program: str, said: str, post: Post, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "COMMAND", (doctor.COMMAND[0], "-c", program))
    monkeypatch.setattr(doctor, "TIMEOUT_SECONDS", 0.1 if "sleep" in program else 60.0)

    post("/doctor")

    wait_until(lambda: said in client.get("/doctor").text, "it says why")


def test_a_second_click_starts_no_second_doctor(
    post: Post, client: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs, end = tmp_path / "runs", tmp_path / "end"
    program = (
        "import pathlib, time\n"
        f"with open({str(runs)!r}, 'a') as file: file.write('x')\n"
        f"while not pathlib.Path({str(end)!r}).exists(): time.sleep(0.05)\n"
        """print('{"findings": []}')"""
    )
    monkeypatch.setattr(doctor, "COMMAND", (doctor.COMMAND[0], "-c", program))

    post("/doctor")
    wait_until(runs.exists, "it runs", 60)
    post("/doctor")

    assert "It examines the store" in client.get("/doctor").text
    end.touch()
    wait_until(lambda: "As of" in client.get("/doctor").text, "it has ended", 60)
    assert runs.read_text() == "x"


def test_a_login_that_may_look_does_not_run_the_doctor(settings: Settings) -> None:
    logins = {"dashboard_login": SecretStr("a:b"), "dashboard_reader": SecretStr("c:d")}
    client = site_client(settings.model_copy(update=logins))
    token = token_in(client, auth=("a", "b"))

    assert client.post("/doctor", data={"token": token}, auth=("c", "d")).status_code == 403
    assert "has not run" in client.get("/doctor", auth=("c", "d")).text
    assert 'method="post"' not in client.get("/doctor", auth=("c", "d")).text.partition("<main")[2]


def test_the_buttons_of_the_overview_do_what_they_say(
    die: Any, post: Post, client: TestClient, store: redis.Redis
) -> None:
    die()
    post("/queues", verb="pause", queue="events")

    forms = re.findall(r'<form action="(/[a-z]+)" method="post">(.*?)</form>', client.get("/").text, re.DOTALL)
    for path, form in forms:
        if path != "/find":
            fields = dict(re.findall(r'name="([a-z]+)" value="([^"]*)"', form))
            assert client.post(path, data=fields).status_code == 303, path

    assert [path for path, _ in forms] == ["/actions", "/queues"]
    assert store.smembers(KEYS.paused) == set()
    assert "Replay 1 dead letter" in client.get("/actions").text or "planned" in client.get("/actions").text
