"""A copy of a running store's files, taken as docs/operations.md says, restores every event answered before."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from harness.events import a_body, an_event
from surehook.shared.embedded import socket_path, start_server, stop_server
from surehook.shared.envelope import parse_envelope
from surehook.shared.errors import Misconfigured
from surehook.shared.job_id import packed_id
from surehook.shared.scripts import Script
from tests.integration.conftest import KEYS
from tests.support.ledger import is_balanced, ledger

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
# Not every machine has the client. It is run by the docs as `valkey-cli -s SOCKET COMMAND…`.
CLIENT = """#!{python}
import sys
import redis
found = redis.Redis(unix_socket_path=sys.argv[2], protocol=2).execute_command(*sys.argv[3:])
if isinstance(found, dict):
    found = "\\n".join(f"{{name}}:{{value}}" for name, value in found.items())
print(found.decode() if isinstance(found, bytes) else found)
"""


def store_event(store: Any) -> str:
    event = parse_envelope(a_body(an_event()))
    fields = (event.event_id, event.event_type, "", "", "", "webhook", event.body, "events", "30", "")
    assert Script("accept", KEYS).run(store, *fields, packed_id(event.event_id)) == [1]
    return event.event_id


def connected(folder: Path) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(socket_path(folder)), protocol=2)


def test_a_copy_taken_while_events_arrive_restores_those_before_it(tmp_path_factory: Any) -> None:
    folder, restored = tmp_path_factory.mktemp("a"), tmp_path_factory.mktemp("b")
    server = start_server(folder)
    try:
        with connected(folder) as store:
            before = [store_event(store) for _ in range(3)]
            store.config_set("auto-aof-rewrite-percentage", 0)
            persistence: Any = store.info("persistence")
            assert persistence["aof_rewrite_in_progress"] == 0
            shutil.copytree(folder / "appendonlydir", restored / "appendonlydir")
            after = store_event(store)
    finally:
        stop_server(server)

    server = start_server(restored)
    try:
        with connected(restored) as store:
            assert ledger(store) == {"open": 3, "accepted": 3}
            assert is_balanced(store)
            assert all(store.exists(KEYS.event(event_id)) for event_id in before)
            assert not store.exists(KEYS.event(after))  # `surehook reconcile` fetches it
    finally:
        stop_server(server)


def test_files_without_their_manifest_are_not_overwritten_by_an_empty_store(tmp_path: Path) -> None:
    """A server without a manifest starts empty, and writes its own files over those of a backup that was cut off."""
    server = start_server(tmp_path)
    try:
        with connected(tmp_path) as store:
            store_event(store)
    finally:
        stop_server(server)
    files = tmp_path / "appendonlydir"
    manifest = (files / "appendonly.aof.manifest").rename(tmp_path / "manifest")
    before = {path.name: path.read_bytes() for path in files.iterdir()}

    with pytest.raises(Misconfigured, match=r"appendonlydir has no manifest.*Restore"):
        start_server(tmp_path)

    assert {path.name: path.read_bytes() for path in files.iterdir()} == before
    manifest.rename(files / "appendonly.aof.manifest")
    server = start_server(tmp_path)
    try:
        with connected(tmp_path) as store:
            assert ledger(store) == {"open": 1, "accepted": 1}
    finally:
        stop_server(server)


def test_a_first_start_that_was_killed_is_repeated(tmp_path: Path) -> None:
    """A server makes its first, empty files before their manifest."""
    server = start_server(tmp_path)
    stop_server(server)
    (tmp_path / "appendonlydir" / "appendonly.aof.manifest").unlink()

    server = start_server(tmp_path)
    try:
        with connected(tmp_path) as store:
            assert store.ping()
    finally:
        stop_server(server)


def script(name: str) -> str:
    """Returns the commands of the page that the comment names."""
    (found,) = re.findall(rf"<!-- {name} -->\n+```sh\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def run(commands: str, folder: Path) -> str:
    """Runs a script as an operator's job does, which stops at the first command that fails."""
    client = folder / "valkey-cli"
    client.write_text(CLIENT.format(python=sys.executable))
    client.chmod(0o755)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SUREHOOK_")}
    environ |= {
        "PATH": f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SUREHOOK_API_KEYS": "a-key-for-tests-only",
    }
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail"], input=commands, cwd=folder, env=environ, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def events_arrive(data: Path) -> Iterator[None]:
    is_over = threading.Event()

    def send() -> None:
        with connected(data) as store:
            while not is_over.is_set():
                store_event(store)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        is_over.set()
        sender.join()


def test_the_commands_of_the_docs_back_up_and_restore_while_events_arrive(tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("a")
    data = folder / "data"
    data.mkdir()
    server = start_server(data)
    try:
        with connected(data) as store:
            store.set("filler", os.urandom(20_000_000))  # so that an event arrives while the files are copied
            before = [store_event(store) for _ in range(3)]
        with events_arrive(data):
            said = run(script("backup"), folder)
        with connected(data) as store:
            store.flushall()
    finally:
        stop_server(server)
    assert "The ledger balances" in said

    run(script("restore"), folder)
    server = start_server(data)
    try:
        with connected(data) as store:
            accepted = int((folder / "backup.ledger").read_text().split()[1].replace(",", ""))
            assert ledger(store)["accepted"] >= accepted >= 3
            assert is_balanced(store)
            assert all(store.exists(KEYS.event(event_id)) for event_id in before)
            assert store.config_get("auto-aof-rewrite-percentage") == {"auto-aof-rewrite-percentage": "100"}
    finally:
        stop_server(server)
