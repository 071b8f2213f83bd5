"""`surehook conformance` finds what receivers do wrong, and says so."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.stack import free_port
from surehook.shared.event_types import EVENT_TYPES
from surehook.shared.settings import Settings
from tests.support.command import command_on
from tests.support.conformance import PATIENT, PATIENT_AS_TEXT, levels_of
from tests.support.served_endpoint import proxy_before, served_endpoint

SECRET = "a-shared-secret-of-more-than-64-bytes-for-tests-only-0123456789-abcdefgh"
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    surehook = command_on(settings, monkeypatch)
    return lambda *arguments: surehook("conformance", *arguments)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Receiver"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.bodies.append(body)
        status = self.server.answer(self, body)
        self.send_response(status)
        if status in (301, 302):
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


Answer = Callable[[_Handler, bytes], int]


class _Receiver(ThreadingHTTPServer):
    daemon_threads = True
    answer: Answer
    bodies: list[bytes]


@contextmanager
def receiver(answer: Answer) -> Iterator[tuple[str, list[bytes]]]:
    """Serves another receiver, and gives its URL and the bodies that it got."""
    with _Receiver(("127.0.0.1", 0), _Handler) as server:
        server.answer, server.bodies = answer, []
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook", server.bodies
        server.shutdown()
        thread.join()


def _claims_success(handler: Any, _: bytes) -> bool:
    """A proxy that answers 200 itself and forwards nothing."""
    handler.answer(200)
    return True


def test_every_type_of_event_is_sent_with_an_id_of_the_run(run: Run) -> None:
    with receiver(lambda *_: 200) as (url, bodies):
        run(url, "--case", "events", *PATIENT)

    events = [json.loads(body)["event"] for body in bodies]
    assert {event["type"] for event in events} >= EVENT_TYPES.keys() - {"test"}
    assert {event["id"][:8] for event in events} == {"c0f0a11e"}
    assert len({event["id"] for event in events}) == len(events)


def test_a_receiver_that_takes_anything_lets_forgeries_in(run: Run) -> None:
    with receiver(lambda *_: 200) as (url, _):
        status, output = run(url, "--case", "credentials", "--case", "misuse", "--case", "http.get", *PATIENT)

    found = {name: level for name, level in levels_of(output).items() if level not in ("ok", "not tried")}
    assert status == 1
    assert found == {
        "credentials.none": "lets a forgery in",
        "http.get": "odd",
        "misuse.cut-json": "loses events",
        "misuse.empty": "loses events",
        "misuse.no-envelope": "odd",
    }


def test_a_receiver_that_ignores_signatures_lets_forgeries_in(run: Run, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    is_ours: Answer = lambda handler, _: 200 if handler.headers["Authorization"] == "a-key" else 401  # noqa: E731
    with receiver(is_ours) as (url, _):
        options = ("--header", "Authorization: a-key", "--signing-key", str(tmp_path / "secret"))
        status, output = run(url, *options, "--case", "signatures", *PATIENT)

    levels = levels_of(output)
    forged = {name for name, level in levels.items() if level == "lets a forgery in"}
    assert status == 1
    assert forged == {
        f"signatures.{name}"
        for name in ("missing", "other-key", "other-body", "none", "stripped", "other-token", "brought-key", "garbage")
    }
    assert levels["signatures.right"] == "ok"


def test_a_redirect_loses_events_although_fusionauth_counts_them_as_delivered(run: Run) -> None:
    with receiver(lambda *_: 302) as (url, _):
        status, output = run(url, "--case", "http.no-redirect", *PATIENT)

    (case,) = json.loads(output.splitlines()[-1])["cases"]
    assert (status, case["level"]) == (1, "loses events")
    assert case["exchanges"][0]["came_back"].startswith(f"200 after a redirect to {url.removesuffix('hook')}elsewhere")
    assert "the event is gone" in case["exchanges"][0]["fusionauth"]


def test_a_receiver_that_fails_for_some_types_is_told_which(run: Run) -> None:
    refuses: Answer = lambda _, body: 500 if b'"user.delete' in body else 200  # noqa: E731
    with receiver(refuses) as (url, _):
        status, output = run(url, "--case", "events.transactional", *PATIENT_AS_TEXT)

    assert status == 1
    assert "user.delete was not accepted." in output
    assert "rolls the operation back and its caller gets 504" in output
    assert "1 case: 1 loses events, 0 let a forgery in" in output


def test_a_deliberate_refusal_blocks_users_and_loses_nothing(run: Run) -> None:
    refuses: Answer = lambda _, body: 422 if b'"type":"user.create"' in body else 200  # noqa: E731
    with receiver(refuses) as (url, _):
        status, output = run(url, "--case", "events.transactional", *PATIENT)

    assert (status, levels_of(output)) == (0, {"events.transactional": "blocks users"})


def test_our_endpoint_is_examined_with_its_own_settings_and_store(
    data_dir: Path, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind = f"127.0.0.1:{free_port()}"
    given = {"api_keys": ("a-key-for-tests-only",), "signing_secrets": (SECRET,), "spool_dir": "off"}
    settings = Settings.model_validate({"data_dir": data_dir, "bind": bind, **given})
    monkeypatch.setenv("SUREHOOK_API_KEYS", "a-key-for-tests-only")
    monkeypatch.setenv("SUREHOOK_SIGNING_SECRETS", SECRET)
    monkeypatch.setenv("SUREHOOK_BIND", bind)
    run = command_on(settings, monkeypatch)
    areas = ("--case", "credentials", "--case", "signatures", "--case", "repeats", "--case", "misuse")

    with served_endpoint(settings) as url:
        status, output = run("conformance", "--ours", *areas, *PATIENT)
        with proxy_before(url, _claims_success) as cheat:
            cheated, other = run("conformance", cheat, "--ours", "--case", "http.client", *PATIENT)

    found = levels_of(output)
    assert status == 0
    assert {name for name, level in found.items() if level not in ("ok", "not tried")} == set()
    assert (found["proof.stored"], found["proof.not-stored"], found["proof.once"]) == ("ok", "ok", "ok")
    assert SECRET not in output
    assert (cheated, levels_of(other)["proof.stored"]) == (1, "loses events")


def test_nothing_is_sent_before_it_is_agreed_to(run: Run) -> None:
    with receiver(lambda *_: 200) as (url, bodies):
        status, error = run(url)

    assert (status, bodies) == (2, [])
    assert "--yes" in error


def test_a_page_that_cannot_be_written_is_noticed_before_anything_is_sent(run: Run, tmp_path: Path) -> None:
    with receiver(lambda *_: 200) as (url, bodies), pytest.raises(OSError, match="No such file"):
        run(url, "--html", str(tmp_path / "nowhere" / "report.html"), *PATIENT)

    assert bodies == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "URL is missing"),
        (("hooks.example.com",), "https://hooks.example.com/fusionauth-webhook"),
        (("http://127.0.0.1/", "--case", "event.unknown"), "did you mean events.unknown-type"),
        (("http://127.0.0.1/", "--jwks", "nowhere"), "--jwks nowhere: expected an address"),
        (("http://127.0.0.1/", "--jwks", "192.0.2.1:9"), "--jwks 192.0.2.1:9 cannot be used"),
        (("--ours", "--header", "A: b"), "leave --header"),
        (("http://127.0.0.1/", "--largest-import", "0"), "--largest-import"),
    ],
)
def test_bad_usage_exits_2_and_says_what_to_change(arguments: tuple[str, ...], words: str, run: Run) -> None:
    status, error = run(*arguments, "--yes")

    assert status == 2
    assert words in error


@pytest.mark.parametrize(
    ("status", "exit_status", "words"), [(401, 2, "refuses these credentials"), (404, 2, "is that the webhook's path?")]
)
def test_a_receiver_that_refuses_the_first_event_is_not_examined(
    status: int, exit_status: int, words: str, run: Run
) -> None:
    with receiver(lambda *_: status) as (url, bodies):
        ended, error = run(f"{url}?key=secret", "--yes")

    assert (ended, len(bodies)) == (exit_status, 1)
    assert words in error
    assert "secret" not in error


def test_an_address_where_nothing_answers_is_named(run: Run) -> None:
    status, error = run(f"http://127.0.0.1:{free_port()}/hook", "--yes")

    assert status == 1
    assert "no answer from http://127.0.0.1:" in error
    assert "is the receiver running" in error
