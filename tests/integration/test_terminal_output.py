"""Text from the store, a client or another server cannot control the operator's terminal, whatever prints it."""

import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis

from surehook.shared.settings import Settings
from tests.integration.conftest import KEYS, Accept

SUREHOOK = str(Path(sys.executable).with_name("surehook"))
# Writes the clipboard, moves the cursor, reverses the line, has rich's markup, and forges a line.
PAYLOAD = "\x1b]52;c;aGk=\x07\x9b2J\u202ebidi\r\x08\x7f\u2028[red]x[/red] :smile:\nforged\tline"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # rich's own, on a terminal

Run = Callable[..., str]


@pytest.fixture
def event_id(accept: Accept, claims_of: Any, store: redis.Redis) -> str:
    """An event that is a dead letter, refused too, and has the payload in each of its texts."""
    event_id = accept()
    claims = claims_of()
    line = dict.fromkeys(("handler", "at", "outcome", "error"), PAYLOAD) | {"number": 1, "elapsed_ms": 1}
    store.rpush(KEYS.attempts(event_id), json.dumps(line))
    store.hset(KEYS.event(event_id), "body", json.dumps({"event": {"id": PAYLOAD}}, ensure_ascii=False).encode())
    claims.bury(claims.claim(), an_attempt(PAYLOAD), f"Traceback\n{PAYLOAD}")
    fields = ("type", "tenant", "user", "app", "source", "reason")
    store.hset(KEYS.event(event_id), mapping=dict.fromkeys(fields, PAYLOAD))
    store.zadd(KEYS.decided("rejected"), {event_id: 1_700_000_000_000})
    store.sadd(KEYS.queues, PAYLOAD)
    return event_id


def an_attempt(error: str) -> Any:
    from datetime import UTC, datetime

    from surehook.workers.execution.attempts import AttemptRecord

    return AttemptRecord("it", 1, datetime.now(UTC), 5, "failed", error)


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> Run:
    """Runs the command itself and returns all that it prints."""
    environ = {**os.environ, "SUREHOOK_DATA_DIR": str(settings.data_dir), "COLUMNS": "400"}

    def run(*arguments: str) -> str:
        ran = subprocess.run(
            [SUREHOOK, *arguments], cwd=tmp_path, env=environ, capture_output=True, timeout=60, check=False
        )
        return (ran.stdout + ran.stderr).decode()

    return run


@pytest.fixture
def run_in_terminal(settings: Settings, tmp_path: Path) -> Run:
    environ = {**os.environ, "SUREHOOK_DATA_DIR": str(settings.data_dir), "COLUMNS": "400", "TERM": "xterm-256color"}

    def run(*arguments: str) -> str:
        end, inside = pty.openpty()
        process = subprocess.Popen(
            [SUREHOOK, *arguments], cwd=tmp_path, env=environ, stdin=inside, stdout=inside, stderr=inside
        )
        os.close(inside)
        shown = b""
        try:
            while chunk := os.read(end, 65_536):
                shown += chunk
        except OSError:  # the other end is closed
            pass
        os.close(end)
        process.wait(60)
        return COLOURS.sub("", shown.decode().replace("\r\n", "\n"))

    return run


def assert_harmless(shown: str) -> None:
    assert shown
    assert OBEYED.findall(shown) == []


COMMANDS = [
    ["events", "list"],
    ["events", "list", "--state", "rejected"],
    ["events", "show", "ID"],
    ["dead-letters", "list"],
    ["dead-letters", "show", "ID"],
    ["dead-letters", "discard", "--all", "--dry-run"],
    ["queues", "list"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_stored_text_is_printed_visibly(arguments: list[str], event_id: str, run: Run) -> None:
    shown = run(*(event_id if each == "ID" else each for each in arguments))

    assert_harmless(shown)
    assert "\\x1b]52;c;aGk=\\x07\\x9b2J\\u202ebidi\\r\\x08\\x7f\\u2028[red]x[/red] :smile:" in shown
    is_traceback = arguments[:2] == ["dead-letters", "show"]
    assert len(re.findall("^forged", shown, re.MULTILINE)) == is_traceback  # a traceback has lines of its own


@pytest.mark.parametrize("arguments", [COMMANDS[0], COMMANDS[1], COMMANDS[3]], ids=" ".join)
def test_a_table_on_a_terminal_is_as_harmless(arguments: list[str], event_id: str, run_in_terminal: Run) -> None:
    shown = run_in_terminal(*arguments)

    assert_harmless(shown)
    assert "[red]x[/red] :smile:" in shown.replace("\n", "")


@pytest.mark.parametrize(
    "arguments", [["events", "list", "--json"], ["dead-letters", "show", "ID", "--json"], ["queues", "list", "--json"]]
)
def test_json_stays_json_with_the_same_text(arguments: list[str], event_id: str, run: Run) -> None:
    shown = run(*(event_id if each == "ID" else each for each in arguments))

    assert_harmless(shown)
    assert PAYLOAD in texts_of([json.loads(line) for line in shown.splitlines()])


def texts_of(document: Any) -> list[str]:
    if isinstance(document, str):
        return [document]
    inner = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    return [text for each in inner for text in texts_of(each)]


def test_a_body_stays_the_same_json(event_id: str, run: Run) -> None:
    shown = run("events", "show", event_id, "--body")

    assert_harmless(shown)
    assert json.loads(shown.splitlines()[-1]) == {"event": {"id": PAYLOAD}}


@pytest.mark.parametrize(
    "arguments",
    [
        ["events", "show", PAYLOAD],
        ["dead-letters", "show", PAYLOAD],
        ["events", "list", "--state", PAYLOAD],
        [f"--{PAYLOAD}"],
        ["queues", "pause", PAYLOAD],
        ["trigger", PAYLOAD],
    ],
    ids=lambda arguments: arguments[0] if arguments[1:] else "option",
)
def test_an_argument_is_quoted_visibly(arguments: list[str], run: Run) -> None:
    assert_harmless(run(*arguments))


class Responder(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(PAYLOAD.encode())

    def log_message(self, *_: Any) -> None:
        """Prints nothing."""


@pytest.fixture
def responder() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Responder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_the_response_of_another_server_is_printed_visibly(responder: str, run: Run) -> None:
    shown = run("trigger", "user.create", "--url", responder)

    assert_harmless(shown)
    assert "200 \\x1b]52" in shown
