"""`surehook handlers`: the handlers of the workers, and their last hour."""

from dataclasses import asdict

import click

from surehook.admin.handlers import HandlerReport, read_handlers
from surehook.shared.keys import Keys
from surehook.shared.settings import load_settings
from surehook.shared.visible import visible_line
from surehook.verbs.options import as_json
from surehook.verbs.output import echo, echo_json
from surehook.verbs.store_client import open_store
from surehook.verbs.tables import echo_table

HEADERS = ("handler", "queue", "retries", "timeout", "runs", "failed", "p50", "p95")
MILLISECOND, MINUTE = 0.001, 60


@click.group()
def handlers() -> None:
    """List handlers and their runs."""


@handlers.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List handlers: their options, and the runs, failures and durations of the last hour.

    Workers announce their handlers every minute and count their runs every few seconds.
    """
    settings = load_settings()
    reports, unhandled = read_handlers(open_store(settings), Keys(settings.key_prefix))
    if as_json:
        for report in reports:
            echo_json(asdict(report))
        for event_type, number in unhandled.items():
            echo_json({"event_type": event_type, "without_handler": number})
        return
    if not reports:
        echo("no handlers: no worker has run in the last three days")
    echo_table(HEADERS, map(_cells, reports), whole_ids=True)
    for report in reports:
        echo(visible_line(f"{report.name}: {'; '.join(_details(report))}"))
    if unhandled:
        shown = ", ".join(f"{event_type} ({number:,})" for event_type, number in unhandled.items())
        echo(visible_line(f"arrived without a handler: {shown}"))


def _details(report: HandlerReport) -> list[str]:
    details = [" ".join(report.types), *report.limits]
    return details if report.is_running else [*details, "no worker runs it now"]


def _cells(report: HandlerReport) -> tuple[str, ...]:
    return (
        report.name,
        "transactional" if report.is_transactional else report.queue,
        "-" if report.is_transactional else str(report.retries),
        f"{report.timeout_seconds:g} s",
        f"{report.runs:,}",
        f"{report.failures:,}",
        _duration(report.p50_seconds),
        _duration(report.p95_seconds),
    )


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < MINUTE else f"{seconds / MINUTE:.0f} min"
