"""docs/recipes.md: each module runs in a worker, with the library it is for."""

import gzip
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.stack import Stack, wait_until
from surehook.fusionauth.samples import SAMPLE_USER_ID

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text("utf-8")
RECIPES = dict(re.findall(r"```python\n# (\w+)\.py\n(.*?)```", PAGE, re.DOTALL))
EMAIL = "mirela.tanase@example.com"
FAILS = """
@on("user.delete", name="fails", retries=1, backoff=[0])
def fails(event):
    email = event.user.email
    effect("failed")
    raise LookupError(f"no account of {email}")
"""
# As much of asyncpg as the recipe uses.
ASYNCPG = """
import asyncio, os, sqlite3
class Pool:
    def __init__(self, url): self.url = url.removeprefix("sqlite:///")
    async def __aenter__(self):
        self.loop = asyncio.get_running_loop()
        return self
    async def __aexit__(self, *_): assert self.loop is asyncio.get_running_loop()
    async def execute(self, query, id):
        assert self.loop is asyncio.get_running_loop()
        with sqlite3.connect(self.url) as db: db.execute(query.replace("$1", "?"), [str(id)])
create_pool = Pool
"""
DJANGO_SETTINGS = """
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "django.sqlite3"}}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
"""
DJANGO_TABLES = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
"""


@pytest.fixture
def stack(build_stack: Callable[..., Stack]) -> Stack:
    stack = build_stack(FAILS)
    for name, code in RECIPES.items():
        (stack.folder / f"{name}.py").write_text(code)
    for name, code in (("asyncpg", ASYNCPG), ("mysettings", DJANGO_SETTINGS), ("tables", DJANGO_TABLES)):
        (stack.folder / f"{name}.py").write_text(code)
    return stack


def count(database: Path, table: str) -> int:
    with sqlite3.connect(database) as db:
        (found,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(found)


class Sentry(BaseHTTPRequestHandler):
    """A Sentry that keeps what it is sent."""

    received: list[str] = []  # noqa: RUF012 - the test's only

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode())
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def sentry() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sentry)
    threading.Thread(target=server.serve_forever).start()
    yield f"http://key@127.0.0.1:{server.server_port}/1"
    server.shutdown()
    server.server_close()


def test_the_recipes_work_together_and_report_no_personal_data(stack: Stack, sentry: str) -> None:
    database = stack.folder / "app.sqlite3"
    with sqlite3.connect(database) as db:
        for table in ("customers", "subscribers"):
            db.execute(f"CREATE TABLE {table} (id TEXT)")
            db.execute(f"INSERT INTO {table} VALUES (?)", [str(SAMPLE_USER_ID)])
    stack.start_ingest()
    worker = stack.start_worker(
        SUREHOOK_HANDLERS=",".join([*RECIPES, "tables", "myhooks"]),
        DATABASE_URL=f"sqlite:///{database}",
        DJANGO_SETTINGS_MODULE="mysettings",
        SENTRY_DSN=sentry,
    )

    for event_type in ("user.delete", "group.create.complete"):
        triggered = stack.run("trigger", event_type)
        assert triggered.returncode == 0, triggered.stdout + triggered.stderr
    wait_until(lambda: count(database, "customers") == count(database, "subscribers") == 0, "both are forgotten")
    wait_until(lambda: count(stack.folder / "django.sqlite3", "auth_group") == 1, "the group is copied")
    wait_until(lambda: stack.effects() == ["failed"] * 2, "the other handler has failed twice")
    worker.terminate()
    assert worker.wait(20) == 0

    reports = [text for text in Sentry.received if '"LookupError"' in text]
    assert len(reports) == 2
    assert all('"function":"fails"' in text and '"handler":"fails"' in text for text in reports)
    spans = stack.logged()
    assert spans.count('"name": "fails"') == 2
    assert '"description": "LookupError"' in spans
    assert set(RECIPES) == {"sql_hooks", "pool_hooks", "django_hooks", "sentry_hooks", "tracing_hooks"}
    for text in (*Sentry.received, spans):
        assert EMAIL not in text
