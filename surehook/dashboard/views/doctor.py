"""The doctor: what it found last, and a button that runs it."""

from surehook.dashboard.doctor import FINE, SERIOUS
from surehook.dashboard.site import GoTo, Shown, Site, Visit


def show(site: Site, _: Visit) -> Shown:
    last = site.doctor.last
    found = last.findings if last is not None else ()
    values = {
        "last": last,
        "is_running": site.doctor.is_running,
        "wrong": sorted((each for each in found if each.level != FINE), key=lambda each: each.level not in SERIOUS),
        "fine": [each for each in found if each.level == FINE],
    }
    return Shown("doctor.html", values)


def run(site: Site, visit: Visit) -> GoTo:
    site.audit(visit, "doctor run")
    site.doctor.run_soon()
    return GoTo("/doctor")
