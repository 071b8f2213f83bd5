"""`surehook dev`: everything in one terminal."""

import contextlib
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from surehook.shared.errors import Misconfigured
from surehook.verbs.env_file import ENV_FILE, append_to_env_file
from surehook.verbs.output import echo

if TYPE_CHECKING:
    from surehook.shared.settings import Settings
    from surehook.verbs.reload import ChangeWatch

EXAMPLE_HANDLERS = "examples.todos.handlers"
EXAMPLE_FOLDER = Path("examples/todos")
EXAMPLE_NOTE = "\n                  (the example; SUREHOOK_HANDLERS=your.module runs yours)"
# Ctrl-C should take effect soon; a handler that takes longer runs again at the next start.
GRACE_SECONDS = "5"


@click.command()
@click.option("--unmasked", is_flag=True, help="Show the values of events in tracebacks, on this terminal only.")
@click.option("--reload", "reloads", is_flag=True, help="Start the worker again when your Python files change.")
def dev(unmasked: bool, reloads: bool) -> None:
    """Start the store, ingest, a worker and the dashboard, and stop them with Ctrl-C."""
    from surehook.shared import tracebacks
    from surehook.shared.settings import load_settings
    from surehook.verbs.dev_processes import Children, running_store, wait_until_ready, watch_and_reload, watching
    from surehook.verbs.start import start

    if unmasked and not sys.stderr.isatty():
        raise Misconfigured("--unmasked is for a terminal: a file or a pipe would keep the values of events")
    os.environ[tracebacks.VARIABLE] = tracebacks.UNMASKED if unmasked else tracebacks.MASKED
    configured = load_settings()
    handlers = ",".join(configured.handlers) or _example()
    is_new = _ensure_api_key(configured)
    os.environ.setdefault("SUREHOOK_LOG_FORMAT", "text")
    os.environ["SUREHOOK_HANDLERS"] = handlers
    if "grace" not in configured.model_fields_set:
        os.environ["SUREHOOK_GRACE"] = GRACE_SECONDS
    settings = start()
    stops: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup: outlive the terminal
            signal.signal(number, lambda number, _: stops.append(number))
    echo("starting the store" if settings.redis_url is None else "using the store of SUREHOOK_REDIS_URL")
    # Code may change while the worker starts, so the watch begins before it.
    changes: contextlib.AbstractContextManager[ChangeWatch | None] = (
        watching(Path.cwd()) if reloads else contextlib.nullcontext()
    )
    with running_store(settings, stops) as store, changes as watched:
        children = Children(store)
        try:
            echo("starting ingest")
            children.start("ingest")
            wait_until_ready(settings, children, stops)
            if not stops:
                echo("starting a worker and the dashboard")
                children.start("dashboard")
                if watched is not None:
                    watched.wait_until_watching()
                children.start_worker(stops, *_worker_options(settings, reloads=reloads))
            if not stops:
                echo(_screen(settings, is_new=is_new))
            if watched is not None and not stops:
                watch_and_reload(children, stops, watched, _worker_options(settings, reloads=True))
            else:
                children.watch(stops)
        finally:
            children.stop(settings.grace, stops)
    echo("stopped; nothing is lost, waiting events are in the store")


def _worker_options(settings: "Settings", *, reloads: bool) -> tuple[str, ...]:
    """When code has changed, a running handler may finish, however long it takes."""
    return ("--grace", str(max(settings.grace, settings.handler_timeout))) if reloads else ()


def _example() -> str:
    """The example's handlers, which only a checkout has.

    Raises:
        Misconfigured: the current folder is no checkout.
    """
    if not EXAMPLE_FOLDER.is_dir():
        raise Misconfigured(
            "SUREHOOK_HANDLERS is not set: name the modules with your handlers, as in "
            "SUREHOOK_HANDLERS=myapp.hooks surehook dev"
        )
    return EXAMPLE_HANDLERS


def _ensure_api_key(settings: "Settings") -> bool:
    """Write a random key to .env at the first start. Returns whether it did."""
    if settings.requires_authentication or settings.allow_unauthenticated:
        return False
    try:
        append_to_env_file(f"SUREHOOK_API_KEYS={secrets.token_urlsafe(32)}\n")
    except OSError as exc:
        raise Misconfigured(
            f"{ENV_FILE.absolute()}: the key that FusionAuth needs cannot be written there ({exc.strerror}): run this "
            "in a folder of your own, or set SUREHOOK_API_KEYS"
        ) from exc
    return True


def _screen(settings: "Settings", *, is_new: bool) -> str:
    from surehook.fusionauth.own_endpoint import endpoint_url

    key = settings.api_keys[0].get_secret_value() if settings.api_keys else _instead_of_a_key(settings)
    origin = " (new, in .env)" if is_new else ""
    store = "SUREHOOK_REDIS_URL" if settings.redis_url else f"{settings.data_dir}/ (survives restarts)"
    return f"""
  Surehook is running.

  Webhook URL     {endpoint_url(settings)}
  Authorization   {key}{origin}
  Dashboard       {settings.dashboard_url or f"http://{settings.dashboard_bind}"}
  Handlers        {", ".join(settings.handlers)}{EXAMPLE_NOTE if settings.handlers == (EXAMPLE_HANDLERS,) else ""}
  Store           {store}

  Next, in another terminal:   {_command()} trigger user.delete
  Ctrl-C stops everything.
"""


def _instead_of_a_key(settings: "Settings") -> str:
    if not settings.requires_authentication:
        return "none (all clients are accepted)"
    return "one of SUREHOOK_BASIC_AUTH" if settings.basic_auth else "not required (see `surehook config`)"


def _command() -> str:
    """Returns the command to type: its path unless its environment is activated."""
    script = Path(sys.executable).with_name("surehook")
    with contextlib.suppress(ValueError):
        return str(script.relative_to(Path.cwd()))
    return "surehook"
