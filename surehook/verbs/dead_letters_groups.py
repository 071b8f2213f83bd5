"""`surehook dead-letters groups`: the ways in which handlers fail."""

import sys
from datetime import datetime
from typing import Any

import click

from surehook.admin.failure_groups import FailureGroup, FailureGroups
from surehook.shared.errors import NotFound
from surehook.shared.keys import Keys
from surehook.shared.settings import load_settings
from surehook.shared.visible import visible_line
from surehook.verbs.options import as_json as json_option
from surehook.verbs.output import echo, echo_json
from surehook.verbs.store_client import open_store
from surehook.verbs.tables import SHORT_ID, echo_table, utc

HEADERS = ("group", "letters", "first died (UTC)", "last died (UTC)", "e.g.", "handler", "error")
CHANGED = "not seen since the code changed"
HEADING = f"{'group':<9}  {'letters':>7}  {'first died (UTC)':<19}  {'last died (UTC)':<19}  e.g."


@click.command()
@click.option("--handler", help="The handler's id.")
@click.option("--all", "with_empty", is_flag=True, help="Groups without dead letters too, within RETENTION.")
@json_option
def groups(handler: str | None, with_empty: bool, as_json: bool) -> None:
    """Group dead letters by how they failed, the largest group first.

    --group of list, replay, discard and of `events list` and `tail` takes a group's id, or its first characters.
    """
    found = open_groups().read(handler=handler, with_empty=with_empty)
    if as_json:
        for group in found:
            echo_json(_facts(group))
    elif sys.stdout.isatty():
        for line in _lines(found):
            echo(line)
    else:
        echo_table(HEADERS, map(_cells, found))
    if not found and not as_json:
        echo("no dead letters")


def open_groups() -> FailureGroups:
    settings = load_settings()
    return FailureGroups(open_store(settings), Keys(settings.key_prefix))


def whole_group_id(some_id: str, groups: FailureGroups) -> str:
    """
    Raises:
        NotFound: no group's id begins so.
    """
    found = groups.find(some_id)
    if not found:
        raise NotFound(f"there is no group {some_id}; `surehook dead-letters groups` shows them")
    if len(found) > 1:
        raise click.UsageError(f"{some_id} is the beginning of several groups: give more of it.")
    return found[0].group_id


def _lines(found: list[FailureGroup]) -> list[str]:
    """Two lines for each group, as one would not fit a terminal: where it failed, and how."""
    lines = [HEADING] if found else []
    for group in found:
        times = f"{utc(group.first_seen):<19}  {utc(group.last_seen):<19}"
        lines.append(f"{group.group_id:<9}  {group.count:>7}  {times}  {group.sample[:SHORT_ID]}".rstrip())
        where = f"{group.handler or '?'} ({group.frame})" if group.frame else group.handler or "?"
        lines.append(f"    {visible_line(where)}: {visible_line(group.error)}")
        if group.is_before_change:
            lines.append(f"    {CHANGED}")
    return lines


def _cells(group: FailureGroup) -> tuple[str, ...]:
    error = f"{group.error} ({group.frame})" if group.frame else group.error
    return (
        group.group_id,
        str(group.count),
        utc(group.first_seen),
        utc(group.last_seen),
        group.sample or "-",
        group.handler or "?",
        f"{error}, {CHANGED}" if group.is_before_change else error,
    )


def _facts(group: FailureGroup) -> dict[str, Any]:
    return {
        "group_id": group.group_id,
        "handler": group.handler,
        "error": group.error,
        "frame": group.frame,
        "letters": group.count,
        "total": group.total,
        "first_died_at": _iso(group.first_seen),
        "last_died_at": _iso(group.last_seen),
        "sample_event_id": group.sample or None,
        "is_before_change": group.is_before_change,
    }


def _iso(instant: datetime | None) -> str | None:
    return instant.isoformat(timespec="milliseconds") if instant else None
