"""The overview: one sentence that says whether anything is wrong, and the numbers behind it."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from surehook.admin.bulk_actions import REPLAY, BulkAction, BulkState
from surehook.admin.failure_groups import NOT_GROUPED, FailureGroup, FailureGroups
from surehook.admin.reconciliation import LastStatement, last_statement
from surehook.admin.spool import SpoolReader, SpoolSummary
from surehook.dashboard.charts import chart
from surehook.dashboard.doctor import Examination
from surehook.dashboard.history import Bar, added
from surehook.dashboard.rendering import plural
from surehook.dashboard.site import Shown, Site, Visit
from surehook.dashboard.views.actions import actions_of
from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.shared.stats import QueueStats, Stats, StatsReader

MOST_GROUPS = 5


@dataclass(frozen=True, slots=True)
class Button:
    """A button that mends something, or begins to: it sends a form to another page."""

    label: str
    path: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Need:
    """Something that needs a person: what it is, what to do, and the page where."""

    text: str
    advice: str
    path: str
    count: int = 0
    """How many events it is about, if it is about events."""
    button: Button | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of the overview, and the list behind it."""

    name: str
    count: int
    path: str


def show(site: Site, _: Visit) -> Shown:
    stats = StatsReader(site.store, site.keys).read()
    orphans = int(site.store.zcard(site.keys.orphans) or 0)
    spool = SpoolReader(site.settings).summary()
    statement = last_statement(site.store, site.keys)
    groups, actions = FailureGroups(site.store, site.keys).read(), actions_of(site).newest()
    needs = [
        *needs_of(stats, orphans, spool, groups),
        *needs_of_actions(actions, {group.group_id for group in groups}),
        *needs_of_checks(statement, site.doctor.last),
    ]
    bars = added(list(site.history.read(1).values()))
    values = {
        "sentence": sentence(stats, needs),
        "needs": needs,
        "figures": figures(stats, orphans, spool),
        "chart": chart(bars, name="Runs of the last hour", height=60) if any(map(_has_run, bars)) else "",
        "statement": statement,
        "examination": site.doctor.last,
    }
    return Shown("overview.html", values)


def _has_run(bar: Bar) -> bool:
    return bool(bar.good or bar.failed)


def sentence(stats: Stats, needs: list[Need]) -> str:
    if not stats.accepted:
        return "No event has arrived yet."
    count = sum(need.count for need in needs)
    events = "The only event is" if stats.accepted == 1 else f"All {stats.accepted:,} events are"
    others = next((need for need in needs if not need.count), None)
    if stats.imbalance:
        return f"{plural(stats.imbalance, 'event')} of {stats.accepted:,} cannot be accounted for."
    if count:
        more = " And something else needs you." if others else ""
        return f"{events} done or waiting; {count:,} {'needs' if count == 1 else 'need'} you.{more}"
    return f"{events} done or waiting, but something needs you." if others else f"{events} done or waiting."


def needs_of(stats: Stats, orphans: int, spool: SpoolSummary, groups: Sequence[FailureGroup] = ()) -> Iterator[Need]:
    if stats.imbalance:
        text = f"The ledger does not balance by {plural(stats.imbalance, 'event')}"
        yield Need(text, "See which.", "/ledger?check=yes")
    dead = sum(queue.dead for queue in stats.queues)
    if dead:
        yield from _needs_of_dead(dead, groups)
    if orphans:
        text = plural(orphans, "orphan")
        advice = "Handlers may have had effects, but FusionAuth got no success. Check and resolve them."
        yield Need(text, advice, "/transactions", orphans)
    if spool.refused:
        text = f"{plural(spool.refused, 'event')} in the spool that the store refuses"
        yield Need(text, "See why.", "/ledger", spool.refused)
    if stats.is_suspended:
        yield Need("All workers are suspended", "`rq resume` ends that.", "/queues")
    for queue in stats.queues:
        yield from _needs_of_queue(queue)


def _needs_of_dead(dead: int, groups: Sequence[FailureGroup]) -> Iterator[Need]:
    """The largest groups, and the rest."""
    rest = dead
    for group in groups[:MOST_GROUPS]:
        if group.group_id == NOT_GROUPED or rest < group.count:
            continue
        rest -= group.count
        text = f"{plural(group.count, 'dead letter')} of {group.handler or '?'}"
        replay = Button("Replay…", "/actions", (("verb", REPLAY), ("group", group.group_id)))
        path = "/dead-letters?" + urlencode({"group": group.group_id})
        yield Need(text, group.error, path, group.count, replay)
    if rest:
        text = plural(rest, "other dead letter" if rest < dead else "dead letter")
        yield Need(text, "See why they failed; replay or discard them.", "/dead-letters", rest)


def needs_of_actions(actions: Sequence[BulkAction], groups: Collection[str]) -> Iterator[Need]:
    """The actions, the newest first, that do not go on by themselves. `groups`: those that have dead letters."""
    newer: set[str] = set()
    for action in actions:
        what, path = f"The {action.verb} of {plural(action.planned, 'event')}", f"/actions/{action.action_id}"
        if action.state is BulkState.INTERRUPTED and not action.is_for_dashboard:
            yield Need(f"{what} was interrupted", "Its command has ended: resume or stop it.", path)
        if action.has_stopped_itself and action.group_id in groups and action.group_id not in newer:
            yield Need(f"{what} has stopped", f"{action.note[:1].upper()}{action.note[1:]}", path)
        if action.state is not BulkState.PLANNED:
            newer.add(action.group_id)


def needs_of_checks(statement: LastStatement | None, examination: Examination | None) -> Iterator[Need]:
    if statement is not None and not statement.is_complete:
        advice = "The ledger says which; `surehook reconcile` recovers what can be had."
        yield Need("FusionAuth fired events that are missing here", advice, "/ledger")
    if examination is not None and examination.serious:
        text = f"The doctor found {plural(len(examination.serious), 'thing')} that loses events or blocks users"
        yield Need(text, "Each says what to change.", "/doctor")


def _needs_of_queue(queue: QueueStats) -> Iterator[Need]:
    resume = Button("Resume", "/queues", (("verb", "resume"), ("queue", queue.name)))
    if queue.is_paused:
        advice = "Resume it when its handlers may run again."
        yield Need(f"The queue {queue.name} is paused", advice, "/queues", button=resume)
    if not queue.workers and queue.jobs > queue.dead and queue.name != TRANSACTIONAL_QUEUE:
        yield Need(f"No worker runs the queue {queue.name}", "Start `surehook worker`.", "/queues")
    if queue.limits and queue.limits.breaker_open_seconds is not None:
        text = f"The circuit breaker of {queue.name} is open"
        yield Need(text, "Its handler keeps failing; it tries again by itself.", "/queues", button=resume)


def figures(stats: Stats, orphans: int, spool: SpoolSummary) -> list[Figure]:
    def total(name: str) -> int:
        return sum(getattr(queue, name) for queue in stats.queues)

    found = [
        Figure("accepted", stats.accepted, "/events"),
        Figure("done", stats.done, "/events?state=done"),
        Figure("waiting", total("waiting"), "/events?state=waiting"),
        Figure("running", total("running"), "/events?state=running"),
        Figure("retrying later", total("scheduled"), "/events?state=scheduled"),
        Figure("waiting for their turn", total("deferred"), "/events?state=deferred"),
        Figure("dead letters", total("dead"), "/dead-letters"),
        Figure("discarded", stats.discarded, "/events?state=discarded"),
        Figure("erased", stats.erased, "/ledger"),
        Figure("orphans", orphans, "/transactions"),
        Figure("in this machine's spool", spool.events, "/ledger"),
    ]
    always = {"accepted", "done", "waiting", "running", "dead letters"}
    return [figure for figure in found if figure.count or figure.name in always]
