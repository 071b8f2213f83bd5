"""The surehook command: its verbs, and what an error looks like from outside.

Exit status: 0 fine, 1 failed, 2 misconfigured or misused, 3 not found.
"""

import os
import sys
from importlib import import_module

import click

from surehook.shared.errors import Misconfigured, NotFound, SurehookError

FAILED, MISCONFIGURED, NOT_FOUND = 1, 2, 3
# In the order of the help text; each is a file in verbs/.
VERBS = (
    "dev",
    "ingest",
    "worker",
    "dashboard",
    "trigger",
    "events",
    "dead-letters",
    "queues",
    "ledger",
    "keys",
    "config",
)


class Verbs(click.Group):
    """A verb is imported when it is called: workers need not hold the door's libraries, nor wait for them to load."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        module = name.replace("-", "_")
        found: click.Command = getattr(import_module(f"surehook.verbs.{module}"), module)
        return found


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="surehook")
def cli() -> None:
    """Receive FusionAuth's webhooks, keep every one, and run your handlers."""


def main() -> None:
    """Run a verb; an error of ours is a sentence on stderr, not a traceback."""
    try:
        cli(prog_name="surehook")
    except NotFound as exc:
        _leave(exc, NOT_FOUND)
    except Misconfigured as exc:
        _leave(exc, MISCONFIGURED)
    except SurehookError as exc:
        _leave(exc, FAILED)
    except BrokenPipeError:
        # `surehook … | head`: the reader has had enough. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)


def _leave(exc: SurehookError, status: int) -> None:
    click.echo(f"surehook: {exc}", err=True)
    sys.exit(status)
