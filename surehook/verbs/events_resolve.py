"""`surehook events resolve`, and the lists of refused transactions and orphans."""

from collections.abc import Callable, Sequence

import click

from surehook.admin.events import EventFilter
from surehook.admin.transactions import ORPHANED, Decision, Decisions
from surehook.shared.errors import NotFound
from surehook.shared.keys import Keys
from surehook.shared.settings import load_settings
from surehook.verbs.audit import note_here
from surehook.verbs.output import echo, echo_json
from surehook.verbs.store_client import open_store
from surehook.verbs.tables import echo_table, utc

HEADERS = ("event", "decided (UTC)", "state    ", "type", "reason")


def echo_decisions(wanted: EventFilter, limit: int, *, as_json: bool) -> None:
    """List the transactions that ended in the wanted states, the newest first."""
    decisions = open_decisions()
    found = [
        decision
        for state in wanted.states
        for decision in decisions.listed(state)
        if _is_wanted(decision, wanted, decisions)
    ]
    count = len(found)
    if as_json:
        for decision in found[:limit]:
            echo_json(_facts(decision))
    else:
        echo_table(HEADERS, map(_cells, found[:limit]), whole_ids=True)
    if not as_json and not count:
        echo("no such events")
    if count > limit:
        echo(f"the newest {limit} of {count}; --limit shows more", err=True)


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
def resolve(ids: Sequence[str]) -> None:
    """Take orphans off the list, after you have checked their effects."""
    decisions = open_decisions()
    orphans = whole_ids(ids, decisions, ORPHANED)
    note_here("resolved", *orphans)
    each(orphans, decisions.resolve, "resolved", "not an unresolved orphan")


def open_decisions() -> Decisions:
    settings = load_settings()
    return Decisions(
        open_store(settings),
        Keys(settings.key_prefix),
        retention_seconds=settings.retention,
        handler_timeout=settings.handler_timeout,
    )


def whole_ids(ids: Sequence[str], decisions: Decisions, *states: str) -> list[str]:
    """Completes ids of which the first characters are given; one that begins no listed id stays as it is."""
    found = []
    for some_id in ids:
        matching = decisions.like(some_id, *states)
        if len(matching) > 1:
            raise click.UsageError(f"{some_id} is the beginning of several ids: give more of it.")
        found += matching or [some_id.lower()]
    return list(dict.fromkeys(found))


def each(ids: Sequence[str], act: Callable[[str], bool], done: str, not_done: str) -> None:
    """
    Raises:
        NotFound: for some of the ids there was nothing to do; the others are done.
    """
    missed = []
    for event_id in ids:
        if act(event_id):
            echo(f"{event_id} {done}")
        else:
            missed.append(event_id)
    if missed:
        raise NotFound("\n".join(f"{event_id} is {not_done}" for event_id in missed))


def _is_wanted(decision: Decision, wanted: EventFilter, decisions: Decisions) -> bool:
    if wanted.event_type not in (None, decision.event_type) or wanted.user_id not in (None, decision.user_id):
        return False
    if wanted.tenant_id not in (None, decision.tenant_id):
        return False
    if wanted.since is not None and decision.decided_at < wanted.since:
        return False
    if wanted.until is not None and decision.decided_at > wanted.until:
        return False
    return wanted.handler is None or wanted.handler in decisions.handlers_of(decision.event_id)


def _facts(decision: Decision) -> dict[str, str]:
    return {
        "event_id": decision.event_id,
        "state": decision.state,
        "decided_at": decision.decided_at.isoformat(timespec="milliseconds"),
        "event_type": decision.event_type,
        "tenant_id": decision.tenant_id,
        "user_id": decision.user_id,
        "reason": decision.reason,
    }


def _cells(decision: Decision) -> tuple[str, ...]:
    state = f"{decision.state:<9}"
    return decision.event_id, utc(decision.decided_at), state, decision.event_type, decision.reason
