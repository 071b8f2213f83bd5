"""`surehook ledger`: checks that every accepted event is closed, or open with a job."""

import json
import sys

import click

from surehook.admin.ledger import Ledger, LedgerReport
from surehook.shared.keys import Keys
from surehook.shared.settings import load_settings
from surehook.shared.store import connect, wait_for_store
from surehook.workers.maintenance.job_index import JOB_STATES

TIMEOUT_SECONDS = 10.0
SHOW_PROGRESS_FROM = 20_000
DOES_NOT_BALANCE = 1
COUNTS = ("accepted", "done", "discarded", "erased", "open")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def ledger(as_json: bool) -> None:
    """Say whether the ledger balances. Exit status 1, and the ids, if it does not.

    It balances when accepted - done - discarded - erased = open, and every open event has a job that waits, runs, is
    scheduled or is dead.
    """
    settings = load_settings()
    wait_for_store(settings)
    store, keys = connect(settings, timeout_seconds=TIMEOUT_SECONDS), Keys(settings.key_prefix)
    length = Ledger(store, keys).counts().open
    hidden = length < SHOW_PROGRESS_FROM or not sys.stderr.isatty()
    with click.progressbar(length=length, label="checking", file=sys.stderr, hidden=hidden) as bar:
        statement = Ledger(store, keys, bar.update).read()
    click.echo(json.dumps(_facts(statement)) if as_json else _table(statement))
    if not statement.is_balanced:
        sys.exit(DOES_NOT_BALANCE)


def _facts(statement: LedgerReport) -> dict[str, object]:
    return {
        "balances": statement.is_balanced,
        **{name: getattr(statement.stats, name) for name in COUNTS},
        "off_by": statement.stats.off_by,
        "open_events": {place.value: statement.events[place] for place in JOB_STATES},
        "without_job": statement.without_job,
    }


def _table(statement: LedgerReport) -> str:
    books = statement.stats
    lines = [f"{name:<14}{getattr(books, name):>12,}" for name in COUNTS]
    lines += [f"  {place.value:<12}{statement.events[place]:>12,}" for place in JOB_STATES]
    lines.append("")
    if statement.is_balanced:
        lines.append("The ledger balances.")
    if books.off_by:
        lines.append(
            f"The ledger does not balance: by the counts {books.open + books.off_by:,} events should be open, "
            f"but {books.open:,} are."
        )
    if statement.without_job:
        more = " or more" if statement.is_cut_short else ""
        lines.append(
            f"The ledger does not balance: {len(statement.without_job):,}{more} jobs of open events are missing:"
        )
        lines += [f"  {job_id}" for job_id in statement.without_job]
    return "\n".join(lines)
