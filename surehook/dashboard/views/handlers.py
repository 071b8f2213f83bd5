"""The handlers, with charts of their runs."""

from dataclasses import dataclass

from markupsafe import Markup

from surehook.admin.handlers import HandlerReport, read_handlers
from surehook.dashboard.charts import chart
from surehook.dashboard.history import HOURS, Bar
from surehook.dashboard.site import Refused, Shown, Site, Visit


@dataclass(frozen=True, slots=True)
class Row:
    """A handler, and its runs in the chosen hours."""

    report: HandlerReport
    chart: Markup
    runs: int
    failed: int


def hours_of(visit: Visit) -> int:
    given = visit.query.get("hours", "1")
    if given not in map(str, HOURS):
        raise Refused(400, f"Charts are of the last {', '.join(map(str, HOURS))} hours.")
    return int(given)


def show(site: Site, visit: Visit) -> Shown:
    hours = hours_of(visit)
    reports, unhandled = read_handlers(site.store, site.keys, site.clock)
    history = site.history.read(hours)
    rows = [_row(report, history.get(report.name, [])) for report in reports]
    values = {"rows": rows, "unhandled": unhandled, "hours": hours, "choices": HOURS}
    return Shown("handlers.html", values)


def _row(report: HandlerReport, bars: list[Bar]) -> Row:
    failed = sum(bar.failed for bar in bars)
    return Row(report, chart(bars, name=report.name), failed + sum(bar.good for bar in bars), failed)
