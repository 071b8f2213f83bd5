"""`surehook dev`: everything in one terminal."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import httpx

from surehook.fusionauth.own_endpoint import door_url, trust
from surehook.shared.child_processes import start_child
from surehook.shared.embedded import embedded_store
from surehook.shared.errors import Misconfigured, SurehookError
from surehook.shared.settings import Settings, load_settings
from surehook.verbs.start import start
from surehook.workers.handlers.loader import load_handlers

EXAMPLE_HANDLERS = "examples.todos.handlers"
EXAMPLE_NOTE = " (the example; SUREHOOK_HANDLERS=your.module runs yours)"
# Whoever presses Ctrl-C waits for it; a handler that takes longer runs again at the next start.
GRACE_SECONDS = "5"
ENV_FILE = Path(".env")
POLL_SECONDS = 0.1
READY_SECONDS = 60
STOP_SECONDS = 10


@click.command()
def dev() -> None:
    """Start the store, ingest, a worker and the dashboard, and stop them with Ctrl-C."""
    is_new = _ensure_api_key()
    os.environ.setdefault("SUREHOOK_LOG_FORMAT", "text")
    configured = load_settings()
    if not configured.handlers:
        os.environ["SUREHOOK_HANDLERS"] = EXAMPLE_HANDLERS
    if "grace" not in configured.model_fields_set:
        os.environ["SUREHOOK_GRACE"] = GRACE_SECONDS
    settings = start()
    load_handlers(settings.handlers, Path.cwd())
    stops: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: stops.append(number))
    with _store(settings) as store:
        children = Children(store)
        try:
            children.start("ingest")
            _wait_until_ready(settings, children, stops)
            children.start("worker")
            children.start("dashboard")
            if not stops:
                click.echo(_screen(settings, is_new=is_new))
            children.watch(stops)
        finally:
            children.stop(settings.grace, stops)
    click.echo("stopped; nothing is lost, events that wait are in the store")


class Children:
    """The processes of one `surehook dev`."""

    def __init__(self, store: "subprocess.Popen[bytes] | None") -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._store = store

    def start(self, verb: str) -> None:
        self._processes[verb] = start_child(["-m", "surehook", verb])

    def refuse_dead(self) -> None:
        """
        Raises:
            Misconfigured: one ended with exit status 2, after saying why.
            SurehookError: one ended otherwise.
        """
        everyone: Mapping[str, subprocess.Popen[bytes]] = self._processes
        if self._store is not None:
            everyone = {**everyone, "store": self._store}
        for name, process in everyone.items():
            if (status := process.poll()) is not None:
                error = Misconfigured if status == 2 else SurehookError  # noqa: PLR2004 - our exit status
                raise error(f"{name} ended with status {status}, so everything stops")

    def watch(self, stops: list[int]) -> None:
        while not stops:
            self.refuse_dead()
            time.sleep(POLL_SECONDS)

    def stop(self, grace_seconds: float, stops: list[int]) -> None:
        """The door first, so that nothing new comes; the worker finishes what runs, or a second Ctrl-C ends that."""
        for name in ("ingest", "dashboard", "worker"):
            if name in self._processes:
                self._processes[name].terminate()
        deadline = time.monotonic() + grace_seconds + STOP_SECONDS
        heard = len(stops)
        while time.monotonic() < deadline and any(process.poll() is None for process in self._processes.values()):
            if len(stops) > heard and "worker" in self._processes:
                heard = len(stops)
                self._processes["worker"].terminate()
            time.sleep(POLL_SECONDS)
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()


@contextlib.contextmanager
def _store(settings: Settings) -> "Iterator[subprocess.Popen[bytes] | None]":
    if settings.redis_url is not None:
        yield None
        return
    with embedded_store(settings.data_dir) as server:
        yield server


def _ensure_api_key() -> bool:
    """Write a random key to .env at the first start. Returns whether it did."""
    settings = load_settings()
    if settings.is_proven or settings.allow_unauthenticated:
        return False
    before = ENV_FILE.read_text("utf-8") if ENV_FILE.exists() else ""
    if before and not before.endswith("\n"):
        before += "\n"
    fresh = ENV_FILE.with_name(f".env.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{before}SUREHOOK_API_KEYS={secrets.token_urlsafe(32)}\n")
    fresh.replace(ENV_FILE)
    return True


def _wait_until_ready(settings: Settings, children: Children, stops: list[int]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    trusted = trust(settings)
    while not stops:
        time.sleep(POLL_SECONDS)
        children.refuse_dead()
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(door_url(settings, "/readyz"), timeout=1, verify=trusted).is_success:
                return
        if time.monotonic() > deadline:
            raise SurehookError("ingest does not get ready; the lines above say why")


def _screen(settings: Settings, *, is_new: bool) -> str:
    key = settings.api_keys[0].get_secret_value() if settings.api_keys else _instead_of_a_key(settings)
    origin = " (new, kept in .env)" if is_new else ""
    store = "SUREHOOK_REDIS_URL" if settings.redis_url else f"{settings.data_dir}/ (survives restarts)"
    return f"""
  Surehook is running.

  Webhook URL     {door_url(settings)}
  Authorization   {key}{origin}
  Dashboard       http://{settings.dashboard_bind}
  Handlers        {", ".join(settings.handlers)}{EXAMPLE_NOTE if settings.handlers == (EXAMPLE_HANDLERS,) else ""}
  Store           {store}

  Next, in another terminal:   {_command()} trigger user.delete
  Ctrl-C stops everything.
"""


def _instead_of_a_key(settings: Settings) -> str:
    if not settings.is_proven:
        return "none (everybody is let in)"
    return "one of SUREHOOK_BASIC_AUTH" if settings.basic_auth else "not asked for; `surehook config` says what is"


def _command() -> str:
    """How the newcomer can type it: without an activated environment, by its path."""
    script = Path(sys.executable).with_name("surehook")
    with contextlib.suppress(ValueError):
        return str(script.relative_to(Path.cwd()))
    return "surehook"
