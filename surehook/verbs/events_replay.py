"""`surehook events replay`: run the handlers of closed events again."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from surehook.admin.audit import masked_user
from surehook.admin.events import REPLAYABLE, EventFilter, EventLog, EventRecord
from surehook.admin.transactions import REFUSALS
from surehook.shared.errors import NotFound, SurehookError
from surehook.verbs.audit import note_here
from surehook.verbs.events_list import filter_of, filters, line, one, open_log
from surehook.verbs.events_resolve import open_decisions, whole_ids
from surehook.verbs.options import bulk, each, require_selection

NOT_REFUSED = "not a refused transaction, its effects are still being undone, or its body has expired"
LONGEST_TARGET = 500
BY_DEFAULT = ("done", "unhandled", "completed")


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@filters(*REPLAYABLE)
@click.option("--committed", is_flag=True, help="Replay refused transactions that FusionAuth committed anyway.")
@bulk
def replay(ids: Sequence[str], *, committed: bool, **options: Any) -> None:
    """Run closed events again, for all handlers that match them now, each with its full budget of retries.

    Without --state: those that are done, and those that no handler wanted. The handlers that decided a transaction are
    not asked again.
    """
    if committed:
        _replay_committed(ids, options)
        return
    log = open_log()
    chosen = _chosen(log, ids, options)
    if chosen and not options["dry_run"]:
        note_here("event replayed" if ids else "events replayed", _target(ids, options), count=len(chosen))
    each(
        chosen,
        lambda event: log.replay(event.event_id),
        options,
        line=line,
        verb="replayed",
        otherwise="no longer closed, or body expired",
    )


def _replay_committed(ids: Sequence[str], options: dict[str, Any]) -> None:
    """FusionAuth committed although the event was refused: run all handlers of the events, with retries.

    Raises:
        NotFound: for some of the ids there is nothing to do; the others are done.
    """
    if not ids:
        raise click.UsageError("--committed needs ids: check each event before you replay it.")
    if filter_of(options) != EventFilter() or options["is_all"]:
        raise click.UsageError("--committed takes ids alone, neither filters nor --all.")
    decisions = open_decisions()
    ids = whole_ids(ids, decisions, *REFUSALS)
    facts = [event_id for event_id in ids if decisions.is_refused(event_id)]
    if facts and not options["dry_run"]:
        note_here("committed event replayed", " ".join(facts)[:LONGEST_TARGET], count=len(facts))
    each(facts, decisions.replay_committed, options, line=str, verb="replayed", otherwise=NOT_REFUSED)
    if missed := sorted(set(ids) - set(facts)):
        raise NotFound("\n".join(f"{event_id} is {NOT_REFUSED}" for event_id in missed))


def _target(ids: Sequence[str], options: dict[str, Any]) -> str:
    if ids:
        return " ".join(ids)[:LONGEST_TARGET]
    given = {
        name: value for name, value in asdict(filter_of(options)).items() if value and name not in ("user_id", "email")
    }
    parts = [f"{name.removesuffix('_id').replace('event_', '')} {value}" for name, value in given.items()]
    parts += [masked_user(options["user"].lower())] if options["user"] else []
    return ("closed events: " + (", ".join(parts) or "all"))[:LONGEST_TARGET]


def _chosen(log: EventLog, ids: Sequence[str], options: dict[str, Any]) -> list[EventRecord]:
    wanted = filter_of(options)
    require_selection(ids, options, has_filter=wanted != EventFilter())
    if ids:
        return [_replayable(one(log, some_id)) for some_id in dict.fromkeys(ids)]
    # A snapshot first, so that an event that is replayed and closed again is not replayed twice.
    states = wanted.states or BY_DEFAULT
    found = {event.event_id: event for event in log.matching(wanted) if event.state in states}
    return sorted(found.values(), key=lambda event: event.received_at)


def _replayable(event: EventRecord) -> EventRecord:
    if event.is_open:
        hint = "; `surehook dead-letters replay` runs it again" if event.state == "dead" else ""
        raise SurehookError(f"{event.event_id} is {event.state}{hint}")
    if event.state not in REPLAYABLE:
        raise SurehookError(
            f"{event.event_id} was {event.state} in a transaction, which cannot run again; if FusionAuth went ahead "
            f"nevertheless: surehook events replay {event.event_id} --committed"
        )
    if not event.has_body:
        raise SurehookError(f"{event.event_id} cannot run again: body expired (SUREHOOK_BODY_RETENTION)")
    return event
