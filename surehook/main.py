"""The surehook command: its verbs, and what an error looks like from outside.

Exit status: 0 fine, 1 failed, 2 misconfigured or misused, 3 not found.
"""

import os
import sys

import click

from shared.errors import Misconfigured, NotFound, SurehookError
from surehook.verbs.config import config
from surehook.verbs.dashboard import dashboard
from surehook.verbs.dead_letters import dead_letters
from surehook.verbs.dev import dev
from surehook.verbs.events import events
from surehook.verbs.ingest import ingest
from surehook.verbs.keys import keys
from surehook.verbs.ledger import ledger
from surehook.verbs.queues import queues
from surehook.verbs.trigger import trigger
from surehook.verbs.worker import worker

FAILED, MISCONFIGURED, NOT_FOUND = 1, 2, 3


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="surehook")
def cli() -> None:
    """Receive FusionAuth's webhooks, keep every one, and run your handlers."""


for command in (dev, ingest, worker, dashboard, trigger, events, dead_letters, queues, ledger, keys, config):
    cli.add_command(command)


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
