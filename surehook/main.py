"""The surehook command: its verbs, its errors and its exit statuses.

Exit status: 0 fine, 1 failed, 2 misconfigured or misused, 3 not found.
"""

import io
import os
import sys
from importlib import import_module
from pathlib import Path

import click

from surehook.shared.errors import Misconfigured, NotFound, SurehookError
from surehook.shared.exit_status import FAILED, MISCONFIGURED, NOT_FOUND
from surehook.verbs.output import echo

# Each command is a file in verbs/, imported when it is called; the help text lists them in this order.
VERBS = {
    "dev": "Run everything in one terminal: store, ingest, worker, dashboard.",
    "ingest": "Receive webhooks and put them on disk before answering.",
    "worker": "Run the handlers, with retries and dead letters.",
    "store": "Run the embedded store as a process of its own.",
    "dashboard": "Show events, and what failed and why, in a browser.",
    "trigger": "Post an event to ingest, as FusionAuth would.",
    "simulate": "Run a FusionAuth with users of its own, for trying a receiver.",
    "conformance": "Try documented behaviour of FusionAuth against a receiver.",
    "connect": "Set FusionAuth up to send here, after showing the plan.",
    "doctor": "Say what is wrong, what it means, and where to change it.",
    "reconcile": "Fetch events that FusionAuth fired and that did not arrive.",
    "events": "List, show, replay, resolve or erase events.",
    "dead-letters": "List, group, replay or discard events out of retries.",
    "actions": "List, stop or resume replays and discards of many events.",
    "audit": "List what operators did.",
    "handlers": "List handlers and their runs of the last hour.",
    "queues": "List, pause, resume or limit queues.",
    "ledger": "Check that every accepted event is accounted for.",
    "spool": "List or forward events that wait on this machine's disk.",
    "keys": "Re-encrypt stored bodies with the newest key.",
    "config": "Show every setting and where it comes from.",
}


class Verbs(click.Group):
    """Imports a command when it is called, so that a worker does not load what only ingest needs."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        module = name.replace("-", "_")
        found: click.Command = getattr(import_module(f"surehook.verbs.{module}"), module)
        return found

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="surehook")
def cli() -> None:
    """Receive FusionAuth's webhooks, keep every one, and run your handlers."""


def main() -> None:
    """Run a command. An error of Surehook's is a sentence on stderr, not a traceback."""
    _open_standard_streams()
    try:
        _require_folder()
        sys.exit(_run())
    except NotFound as exc:
        _leave(exc, NOT_FOUND)
    except Misconfigured as exc:
        _leave(exc, MISCONFIGURED)
    except SurehookError as exc:
        _leave(exc, FAILED)
    except BrokenPipeError:
        # `surehook … | head`: the reader closed the pipe. Without this Python prints a second error at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except OSError as exc:
        if exc.filename is None:
            raise
        _leave(SurehookError(f"{exc.filename} cannot be used: {exc.strerror}"), FAILED)
    except Exception as exc:
        # Imported only now: all help, and most mistakes, need no client of the store.
        error = _error_of_arguments(exc) or import_module("surehook.shared.store").error_for_operator(exc)
        if error is None:
            raise
        _leave(error, MISCONFIGURED if isinstance(error, Misconfigured) else FAILED)


def _error_of_arguments(exc: Exception) -> SurehookError | None:
    """Explains the error of an argument that cannot be sent: Python keeps bytes that are not UTF-8 in its text."""
    if isinstance(exc, UnicodeEncodeError) and any(exc.object[exc.start : exc.end] in each for each in sys.argv):
        return Misconfigured("an argument is not valid UTF-8 text")
    return None


def _open_standard_streams() -> None:
    """Opens those that the caller has closed: a socket would get their numbers, and text meant for them."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def _require_folder() -> None:
    try:
        Path.cwd()
    except OSError as exc:
        raise Misconfigured(f"the current folder cannot be used: {exc.strerror}. Change to another one") from exc


def _run() -> int | None:
    """Runs the command. click would print its own errors, which quote the arguments, without escaping them."""
    try:
        status: int | None = cli.main(prog_name="surehook", standalone_mode=False)
    except click.ClickException as exc:
        shown = io.StringIO()
        exc.show(shown)
        echo(shown.getvalue(), err=True, nl=False)
        return exc.exit_code
    except click.Abort:
        echo("Aborted!", err=True)
        return FAILED
    return status


def _leave(exc: SurehookError, status: int) -> None:
    echo(f"surehook: {exc}", err=True)
    sys.exit(status)
