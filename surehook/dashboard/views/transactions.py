"""Orphans, and transactions that were refused."""

from itertools import islice

from surehook.admin.transactions import ORPHANED, STATES, Decisions
from surehook.dashboard.site import Refused, Shown, Site, Visit
from surehook.dashboard.views.confirming import done_of

MOST_SHOWN = 100


def decisions_of(site: Site) -> Decisions:
    return Decisions(
        site.store,
        site.keys,
        retention_seconds=site.settings.retention,
        handler_timeout=site.settings.handler_timeout,
    )


def show(site: Site, visit: Visit) -> Shown:
    state = visit.query.get("state", ORPHANED)
    if state not in STATES:
        raise Refused(400, f"There is no state “{state[:60]}”. States are {', '.join(STATES)}.")
    found = list(islice(decisions_of(site).listed(state), MOST_SHOWN + 1))
    values = {
        "state": state,
        "states": STATES,
        "decisions": found[:MOST_SHOWN],
        "are_more": len(found) > MOST_SHOWN,
        "most": MOST_SHOWN,
        "done": done_of(visit),
    }
    return Shown("transactions.html", values)
