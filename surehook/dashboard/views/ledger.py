"""The ledger: is every event accounted for, here, in the spool, and in FusionAuth's event log?"""

from surehook.admin.ledger import Ledger, LedgerReport
from surehook.admin.reconciliation import last_statement
from surehook.admin.spool import SpoolReader
from surehook.dashboard.site import Shown, Site, Visit
from surehook.workers.maintenance.job_index import JOB_STATES

MOST_SHOWN = 50
MOST_CHECKED = 200_000
"""Checking more open events would take longer than a connection lasts."""


def show(site: Site, visit: Visit) -> Shown:
    ledger = Ledger(site.store, site.keys)
    stats = ledger.counts()
    spool = SpoolReader(site.settings)
    report: LedgerReport | None = None
    if visit.query.get("check") and stats.open <= MOST_CHECKED:
        report = ledger.read()
    values = {
        "statement": last_statement(site.store, site.keys),
        "stats": stats,
        "report": report,
        "states": [(state.value, report.events[state]) for state in JOB_STATES] if report else [],
        "missing": report.without_job[:MOST_SHOWN] if report else [],
        "can_check": stats.open <= MOST_CHECKED,
        "spool": spool.summary(),
        "spooled": spool.events(MOST_SHOWN),
    }
    return Shown("ledger.html", values)
