"""`surehook events replay`: run the handlers of closed events again."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click

from surehook.admin.actions import operator
from surehook.admin.bulk_actions import BY_DEFAULT, REPLAY
from surehook.admin.events import REPLAYABLE, EventFilter, EventLog, EventRecord
from surehook.admin.transactions import REFUSALS
from surehook.shared.errors import NotFound, SurehookError
from surehook.verbs.actions import open_actions, plan_and_run
from surehook.verbs.audit import note_here
from surehook.verbs.events_list import filter_of, filters, line, one, open_log
from surehook.verbs.events_resolve import open_decisions, whole_ids
from surehook.verbs.options import bulk, each, require_selection

NOT_REFUSED = "not a refused transaction, its effects are still being undone, or its body has expired"


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@filters(*REPLAYABLE, with_group=False)
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
    wanted, who = filter_of(options), operator()
    require_selection(ids, options, has_filter=wanted != EventFilter())
    if not ids and not options["dry_run"]:
        plan_and_run(open_actions(), REPLAY, wanted, who=who, rate=options["rate"])
        return
    log = open_log()
    chosen = _chosen(log, ids, wanted)
    if chosen and not options["dry_run"]:
        note_here("event replayed", *(event.event_id for event in chosen))
    each(
        chosen,
        lambda events: sum(log.replay_many([event.event_id for event in events], who=who)),
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
        note_here("committed event replayed", *facts)
    each(
        facts,
        lambda some: sum(map(decisions.replay_committed, some)),
        options,
        line=str,
        verb="replayed",
        otherwise=NOT_REFUSED,
    )
    if missed := sorted(set(ids) - set(facts)):
        raise NotFound("\n".join(f"{event_id} is {NOT_REFUSED}" for event_id in missed))


def _chosen(log: EventLog, ids: Sequence[str], wanted: EventFilter) -> list[EventRecord]:
    if ids:
        return [_replayable(one(log, some_id)) for some_id in dict.fromkeys(ids)]
    found = log.matching(replace(wanted, states=wanted.states or BY_DEFAULT))
    return sorted(found, key=lambda event: event.received_at)


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
