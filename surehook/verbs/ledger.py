"""`surehook ledger`: checks that every accepted event is closed, or open with a job."""

import sys

import click

from surehook.admin.ledger import Ledger, LedgerReport
from surehook.admin.spool import SpoolReader
from surehook.shared.keys import Keys
from surehook.shared.settings import load_settings
from surehook.shared.visible import visible_line
from surehook.verbs.output import echo, echo_json
from surehook.verbs.store_client import open_store
from surehook.workers.maintenance.job_index import JOB_STATES

SHOW_PROGRESS_FROM = 20_000
DOES_NOT_BALANCE = 1
COUNTS = ("accepted", "done", "discarded", "erased", "open")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def ledger(as_json: bool) -> None:
    """Say whether the ledger balances. Exit status 1, and the ids, if it does not.

    It balances when accepted - done - discarded - erased = open, and every open event has a job that waits, runs, is
    scheduled, is deferred (waits for its turn) or is dead. Events in this machine's spool are
    not accepted yet, and have a line of their own.
    """
    settings = load_settings()
    store, keys = open_store(settings), Keys(settings.key_prefix)
    length = Ledger(store, keys).counts().open
    hidden = length < SHOW_PROGRESS_FROM or not sys.stderr.isatty()
    with click.progressbar(length=length, label="checking", file=sys.stderr, hidden=hidden) as bar:
        report = Ledger(store, keys, bar.update).read()
    spooled = SpoolReader(settings).summary().events
    if as_json:
        echo_json({**_facts(report), "spooled": spooled})
    else:
        echo(_table(report, spooled))
    if not report.is_balanced:
        sys.exit(DOES_NOT_BALANCE)


def _facts(report: LedgerReport) -> dict[str, object]:
    return {
        "balances": report.is_balanced,
        **{name: getattr(report.stats, name) for name in COUNTS},
        "off_by": report.stats.off_by,
        "open_events": {state.value: report.events[state] for state in JOB_STATES},
        "without_job": report.without_job,
    }


def _table(report: LedgerReport, spooled: int) -> str:
    stats = report.stats
    lines = [f"{name:<14}{getattr(stats, name):>12,}" for name in COUNTS]
    lines += [f"  {state.value:<12}{report.events[state]:>12,}" for state in JOB_STATES]
    lines += [f"{'spooled':<14}{spooled:>12,}  on this machine's disk, not accepted yet", ""]
    if report.is_balanced:
        lines.append("The ledger balances.")
    if stats.off_by:
        lines.append(
            f"The ledger does not balance: by the counts {stats.open + stats.off_by:,} events should be open, "
            f"but {stats.open:,} are."
        )
    if report.without_job:
        more = " or more" if report.is_cut_short else ""
        lines.append(f"The ledger does not balance: {len(report.without_job):,}{more} jobs of open events are missing:")
        lines += [f"  {visible_line(job_id)}" for job_id in report.without_job]
    return "\n".join(lines)
