"""The audit: who did what."""

import re

from surehook.admin.audit import Audit
from surehook.dashboard.site import Refused, Shown, Site, Visit

LIMIT = 100
AN_ENTRY = re.compile(r"\d{1,15}-\d{1,9}", re.ASCII)


def show(site: Site, visit: Visit) -> Shown:
    before = visit.query.get("before", "")
    if before and not AN_ENTRY.fullmatch(before):
        raise Refused(400, "There is no such page of the audit: start with the newest entries.")
    found = Audit(site.store, site.keys).newest(LIMIT + 1, before=before)
    older = found[LIMIT - 1].entry_id if len(found) > LIMIT else ""
    return Shown("audit.html", {"entries": found[:LIMIT], "older": older, "is_first": not before})
