"""`surehook events list` and `show`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from surehook.admin.event_records import STATE_GROUPS
from surehook.admin.events import CLOSED_STATES, OPEN_STATES, EventFilter, EventLog, EventRecord
from surehook.admin.search import EventSearch
from surehook.admin.spool import SpoolReader
from surehook.admin.transactions import ORPHANED, STATES, UNANSWERED
from surehook.shared.encryption import BodyCipher
from surehook.shared.errors import BodyDamaged, KeyMissing, NotFound
from surehook.shared.keys import Keys
from surehook.shared.settings import load_settings
from surehook.shared.visible import visible_line
from surehook.verbs import options
from surehook.verbs.audit import note_here
from surehook.verbs.dead_letters_groups import open_groups, whole_group_id
from surehook.verbs.events_resolve import echo_decisions
from surehook.verbs.history import action_facts, echo_history
from surehook.verbs.options import as_json, filter_fields
from surehook.verbs.output import echo, echo_body, echo_json
from surehook.verbs.store_client import open_store
from surehook.verbs.tables import echo_table, utc

LIMIT = 100
NAME_WIDTH = 17  # two more than the longest name
HEADERS = ("event", "received (UTC)", "state    ", "type", "handlers")


def filters(*states: str, with_group: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`with_group`: the group of an event's dead letters can be given; closed events have none."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        if with_group:
            text = "A failure group's id, or its first characters: see `dead-letters groups`."
            command = click.option("--group", help=text)(command)
        for option in (
            click.option("--state", type=click.Choice(states), metavar="STATE", help=f"One of {', '.join(states)}."),
            click.option("--email", help="The e-mail address of the event's user."),
            click.option("--application", help="The id of an application of the event."),
        ):
            command = option(command)
        return options.filters("Received")(command)

    return add


@click.command("list")
@filters(*STATE_GROUPS, *OPEN_STATES, *CLOSED_STATES, ORPHANED, UNANSWERED)
@click.option(
    "--limit", default=LIMIT, show_default=True, type=click.IntRange(1), help="At most this many, the newest."
)
@as_json
def list_(as_json: bool, limit: int, **wanted: Any) -> None:
    """List events, the newest first. Closed ones are kept for SUREHOOK_RETENTION seconds."""
    if wanted["state"] in STATES:
        if wanted["email"] or wanted["application"] or wanted["group"]:
            raise click.UsageError(f"--state {wanted['state']} takes neither --email nor --application nor --group.")
        echo_decisions(filter_of(wanted), limit, as_json=as_json)
        return
    search, chosen = open_log().search, filter_of(wanted)
    page = search.page(chosen, limit=limit)
    newest = page.events
    if as_json:
        for event in newest:
            echo_json(facts(event))
    else:
        echo_table(HEADERS, map(_cells, newest))
    if not newest and not as_json:
        echo("no such events")
    if without := sum(not event.has_body for event in newest):
        echo(f"body expired: {without}, which cannot be replayed (SUREHOOK_BODY_RETENTION)", err=True)
    if spooled := SpoolReader(load_settings()).summary().events:
        echo(f"{spooled:,} more wait in this machine's spool for the store: surehook spool list", err=True)
    if page.next_cursor:
        number, is_more = search.count_with(page, chosen)
        echo(f"the newest {limit} of {f'more than {number:,}' if is_more else number}; --limit shows more", err=True)
    _warn_of_missing(search, chosen)


def _warn_of_missing(search: EventSearch, wanted: EventFilter) -> None:
    if not search.is_complete():
        echo("older closed events may be missing: the workers are still adding them to the index", err=True)
    expired = datetime.now(UTC) - timedelta(seconds=load_settings().retention)
    if wanted.since is not None and wanted.since < expired:
        echo(f"events closed before {utc(expired)} UTC have expired (SUREHOOK_RETENTION)", err=True)


@click.command()
@click.argument("some_id", metavar="ID")
@click.option("--body", "with_body", is_flag=True, help="Print the body too, which is personal data.")
@as_json
def show(some_id: str, with_body: bool, as_json: bool) -> None:
    """Show an event and its attempts, with the tracebacks of those that failed.

    ID: the event's, or its first characters.
    """
    log = open_log()
    event = one(log, some_id)
    attempts, actions = log.attempts(event.event_id), log.actions(event.event_id)
    if with_body:
        note_here("body shown", event.event_id)
    body, unreadable = b"", None
    try:
        body = log.body(event.event_id) if with_body else b""
    except (KeyMissing, BodyDamaged) as exc:
        unreadable = exc
    if as_json:
        readable = None if unreadable else body.decode("utf-8", "replace")
        shown = {"body": readable} if with_body else {}
        echo_json(facts(event) | {"attempts": attempts, "actions": list(map(action_facts, actions))} | shown)
    else:
        for name, value in facts(event).items():
            echo(f"{name:<{NAME_WIDTH}}{visible_line(_shown(value))}")
        echo_history(attempts, actions)
        if body:
            echo_body(body)
    if not event.has_body:
        echo("body expired (SUREHOOK_BODY_RETENTION)", err=True)
    if unreadable:
        raise unreadable


def open_log() -> EventLog:
    settings = load_settings()
    return EventLog(
        open_store(settings),
        Keys(settings.key_prefix),
        handler_timeout=settings.handler_timeout,
        cipher=BodyCipher(settings.encryption_keys),
    )


def one(log: EventLog, some_id: str) -> EventRecord:
    """
    Raises:
        NotFound: no event on record begins so.
    """
    found = log.like(some_id)
    if not found and (day := log.known_since(some_id)):
        raise NotFound(
            f"only the id of event {some_id} is left, so that duplicates are recognised: it was closed on {day}, and "
            "its record was kept for SUREHOOK_RETENTION seconds"
        )
    if not found and (spooled := SpoolReader(load_settings()).event(some_id)):
        refused = f" The store refuses it: {spooled.refused}." if spooled.refused else ""
        raise NotFound(
            f"event {spooled.id}, {spooled.type}, received {utc(spooled.received_at)} UTC, is not in the store yet: it "
            f"waits in this machine's spool (surehook spool list).{refused}"
        )
    if not found:
        raise NotFound(f"there is no event {some_id} on record; closed ones are kept for SUREHOOK_RETENTION seconds")
    if len(found) > 1:
        raise click.UsageError(f"{some_id} is the beginning of several ids: give more of it.")
    return found[0]


def filter_of(given: dict[str, Any]) -> EventFilter:
    state = given["state"]
    return EventFilter(
        **filter_fields(given),
        states=STATE_GROUPS.get(state, (state,)) if state else (),
        application_id=given["application"].lower() if given["application"] else None,
        email=given["email"] or None,
        group_id=whole_group_id(given["group"], open_groups()) if given.get("group") else None,
    )


def line(event: EventRecord) -> str:
    return "  ".join(map(visible_line, _cells(event)))


def _cells(event: EventRecord) -> tuple[str, ...]:
    handlers = ",".join(event.handlers) or "-"
    return event.event_id, utc(event.received_at), f"{event.state:<9}", event.event_type, handlers


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (", ".join(value) if isinstance(value, list) else value) or "-"


def facts(event: EventRecord) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "event_type": event.event_type,
        "state": event.state,
        "received_at": event.received_at.isoformat(timespec="milliseconds"),
        "closed_at": event.closed_at.isoformat(timespec="milliseconds") if event.closed_at else None,
        "handlers": list(event.handlers),
        "tenant_id": event.tenant_id,
        "user_id": event.user_id,
        "application_ids": list(event.application_ids),
        "source": event.source,
        "has_body": event.has_body,
    }
