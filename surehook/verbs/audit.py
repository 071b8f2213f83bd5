"""`surehook audit`: the actions of operators."""

from datetime import datetime

import click

from surehook.admin.actions import operator
from surehook.admin.audit import Audit, AuditEntry
from surehook.shared.keys import Keys
from surehook.shared.settings import load_settings
from surehook.shared.visible import visible_line
from surehook.verbs.options import INSTANT
from surehook.verbs.options import as_json as json_option
from surehook.verbs.output import echo, echo_json
from surehook.verbs.store_client import open_store
from surehook.verbs.tables import utc

LIMIT = 100


@click.command()
@click.option("--since", type=INSTANT, help="At this time (UTC) or later, or 2h for the last two hours.")
@click.option("--limit", default=LIMIT, show_default=True, type=click.IntRange(1, 10_000), help="The newest.")
@json_option
def audit(since: datetime | None, limit: int, as_json: bool) -> None:
    """List what operators did, the newest first: the last 10,000 actions."""
    found = _open().newest(limit, since=since)
    for entry in found:
        if as_json:
            echo_json(_facts(entry))
        else:
            echo(_line(entry))
    if not found and not as_json:
        echo("no actions")


def note_here(action: str, *targets: str) -> None:
    """Writes to the audit what a command is about to do, with an entry for each event or queue."""
    _open().write_each(operator(), action, targets)


def _open() -> Audit:
    settings = load_settings()
    return Audit(open_store(settings), Keys(settings.key_prefix))


def _line(entry: AuditEntry) -> str:
    count = f"{entry.count} events" if entry.count != 1 else ""
    reason = f'"{entry.reason}"' if entry.reason else ""
    parts = (utc(entry.at), entry.who or "?", entry.action, entry.target, count, reason, entry.action_id)
    return "  ".join(visible_line(part) for part in parts if part)


def _facts(entry: AuditEntry) -> dict[str, object]:
    return {
        "at": entry.at.isoformat(timespec="milliseconds"),
        "who": entry.who,
        "action": entry.action,
        "target": entry.target,
        "count": entry.count,
        "reason": entry.reason,
        "action_id": entry.action_id or None,
    }
