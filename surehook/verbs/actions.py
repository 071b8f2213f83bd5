"""`surehook actions`: replays and discards of many events, and what runs one in a command."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import click
from redis.exceptions import RedisError

from surehook.admin.actions import operator
from surehook.admin.bulk_actions import (
    DONE_WORDS,
    ActionRefused,
    BulkAction,
    BulkActions,
    BulkState,
    event_of_canary,
)
from surehook.admin.bulk_filters import described
from surehook.admin.bulk_run import BulkRun
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.admin.event_records import EventFilter
from surehook.admin.events import EventLog
from surehook.shared.encryption import BodyCipher
from surehook.shared.errors import NotFound, SurehookError
from surehook.shared.keys import Keys
from surehook.shared.settings import load_settings
from surehook.shared.visible import visible_line
from surehook.verbs.options import as_json as json_option
from surehook.verbs.output import echo, echo_json
from surehook.verbs.progress import Progress
from surehook.verbs.store_client import open_store
from surehook.verbs.tables import utc


@click.group()
def actions() -> None:
    """List, stop or resume replays and discards of many events."""


@actions.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the newest 100: planned ones for an hour, others for a week after their last step."""
    found = open_actions().newest()
    for action in found:
        if as_json:
            echo_json(_facts(action))
        else:
            for line in _lines(action):
                echo(line)
    if not found and not as_json:
        echo("no actions")


@actions.command()
@click.argument("some_id", metavar="ID")
def stop(some_id: str) -> None:
    """Stop an action before its next event. `resume` goes on with the rest."""
    bulk = open_actions()
    action = bulk.stop(_whole(some_id, bulk), who=operator())
    echo(f"{action.action_id} is stopped: {_progress(action)}")


@actions.command()
@click.argument("some_id", metavar="ID")
def resume(some_id: str) -> None:
    """Go on with an action that was stopped, or whose process was killed. No event is replayed twice."""
    bulk = open_actions()
    run_here(bulk, bulk.start(_whole(some_id, bulk), who=operator()))


def open_actions() -> BulkActions:
    settings = load_settings()
    store, keys = open_store(settings), Keys(settings.key_prefix)
    letters = DeadLetters(store, keys, retention_seconds=settings.retention, handler_timeout=settings.handler_timeout)
    cipher = BodyCipher(settings.encryption_keys)
    events = EventLog(store, keys, handler_timeout=settings.handler_timeout, cipher=cipher)
    return BulkActions(store, keys, letters, events)


def plan_and_run(
    bulk: BulkActions, verb: str, wanted: Filter | EventFilter, *, who: str, reason: str = "", rate: float | None = None
) -> None:
    """Runs a new action in this process.

    Raises:
        SurehookError: as `run_here`.
    """
    plan = bulk.plan(verb, wanted, who=who, reason=reason, rate=rate)
    run_here(bulk, bulk.start(plan.action_id, who=who))


def run_here(bulk: BulkActions, action: BulkAction) -> None:
    """Runs a started action in this process, with its progress on a terminal.

    Raises:
        SurehookError: it was stopped; the text says why, and how to resume it.
    """
    if action.needs_canary and action.planned > 1 and sys.stderr.isatty():
        echo("one event first, then the others", err=True)
    with Progress(DONE_WORDS[action.verb]) as progress:
        try:
            action = BulkRun(bulk, action, on_step=progress.step).run()
        except KeyboardInterrupt:
            action = _stopped(bulk, action)
        except RedisError:
            echo(f"go on with: surehook actions resume {action.action_id}", err=True)
            raise
    echo(_progress(action))
    if action.state is not BulkState.DONE:
        why = f": {action.note}" if action.note else ""
        raise SurehookError(f"action {action.action_id} is {action.state}{why}\n{_hint(action)}")


def _stopped(bulk: BulkActions, action: BulkAction) -> BulkAction:
    with suppress(ActionRefused):  # it has just ended
        return bulk.stop(action.action_id, who=operator())
    return bulk.get(action.action_id)


def _hint(action: BulkAction) -> str:
    if action.state is BulkState.RUNNING:
        return "another process runs it: `surehook actions list` shows how far it is"
    return f"go on with: surehook actions resume {action.action_id}"


def _progress(action: BulkAction) -> str:
    why = "no longer dead" if isinstance(action.filter, Filter) else "no longer closed, or body expired"
    return f"{action.done} {DONE_WORDS[action.verb]}" + (f", {action.skipped} {why}" if action.skipped else "")


def _whole(some_id: str, bulk: BulkActions) -> str:
    found = [action.action_id for action in bulk.newest() if some_id and action.action_id.startswith(some_id.lower())]
    if not found:
        raise NotFound(f"there is no action {some_id} (any more); `surehook actions list` shows them")
    if len(found) > 1:
        raise click.UsageError(f"{some_id} is the beginning of several ids: give more of it.")
    return found[0]


def _lines(action: BulkAction) -> Sequence[str]:
    reason = f'  "{action.reason}"' if action.reason else ""
    counts = f"{action.done + action.skipped} of {action.planned}"
    lines = [
        f"{action.action_id}  {utc(action.created_at)}  {action.verb}  {action.state}  {counts}  {action.who}{reason}",
        f"    {described(action.filter, with_error=True)}",
    ]
    if action.note:
        lines.append(f"    {action.note}")
    return list(map(visible_line, lines))


def _facts(action: BulkAction) -> dict[str, Any]:
    times = {"created_at": action.created_at.isoformat(), "updated_at": action.updated_at.isoformat()}
    hidden = {"filter", "canary", "canary_queue", "canary_result"}
    facts = {name: value for name, value in asdict(action).items() if name not in hidden}
    target = described(action.filter, with_error=True)
    return facts | times | {"filter": target, "first_event_id": event_of_canary(action) or None}
