"""`surehook dead-letters`: lists, shows, replays and discards events that ran out of retries."""

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from surehook.admin.actions import LONGEST_REASON, operator
from surehook.admin.bulk_actions import DISCARD, REPLAY
from surehook.admin.dead_letters import DeadLetter, DeadLetters, Filter
from surehook.shared.errors import NotFound
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings, load_settings
from surehook.shared.visible import visible_line
from surehook.verbs import options
from surehook.verbs.actions import open_actions, plan_and_run
from surehook.verbs.dead_letters_groups import groups, open_groups, whole_group_id
from surehook.verbs.options import as_json, bulk, each, filter_fields, require_selection
from surehook.verbs.output import echo, echo_json
from surehook.verbs.store_client import open_store
from surehook.verbs.tables import echo_table, utc

HEADERS = ("event", "died (UTC)", "type", "handler", "error")


def filters(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--group", help="A group's id, or its first characters: see `groups`.")(command)
    return options.filters("Died")(click.option("--error", help="Text in the error.")(command))


@click.group("dead-letters")
def dead_letters() -> None:
    """List, group, show, replay or discard events that ran out of retries."""


dead_letters.add_command(groups)


@dead_letters.command("list")
@filters
@as_json
def list_(as_json: bool, **wanted: Any) -> None:
    """List dead letters, the oldest first."""
    letters = sorted(_open(load_settings()).matching(_wanted(wanted)), key=_died_at)
    if as_json:
        for letter in letters:
            echo_json(_facts(letter))
        return
    echo_table(HEADERS, map(_cells, letters))
    if not letters:
        echo("no dead letters")


@dead_letters.command()
@click.argument("some_id", metavar="ID")
@as_json
def show(some_id: str, as_json: bool) -> None:
    """Show a dead letter: its attempts and its traceback. ID: the event's, or its first characters."""
    letters = _open(load_settings())
    for letter in _found(letters, [some_id]):
        attempts, traceback = letters.attempts(letter), letters.traceback(letter)
        if as_json:
            echo_json(_facts(letter) | {"attempts": attempts, "traceback": traceback})
            continue
        echo(_line(letter))
        for attempt in attempts:
            echo(
                f"  {attempt['at']}  attempt {attempt['number']}  {attempt['outcome']}  "
                f"{attempt['elapsed_ms']} ms  {visible_line(attempt['error'])}"
            )
        echo(f"\n{traceback}", nl=False)


@dead_letters.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@filters
@bulk
def replay(ids: Sequence[str], **given: Any) -> None:
    """Run dead letters again, each with its full budget of retries.

    With --group: one of them first, and the others when that has run without failing.
    """
    wanted, who = _wanted(given), operator()
    require_selection(ids, given, has_filter=not wanted.is_empty)
    if not ids and not given["dry_run"]:
        _run_bulk(REPLAY, wanted, given["rate"], who)
        return
    letters = _open(load_settings())
    chosen = _chosen(letters, ids, wanted)
    _each(chosen, lambda some: sum(letters.replay_many(some, who=who)), "replayed", given)


@dead_letters.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--reason", help="Kept with the event. Asked for on a terminal.")
@filters
@bulk
def discard(ids: Sequence[str], reason: str | None, **given: Any) -> None:
    """Close dead letters for good: they will never run."""
    wanted, who = _wanted(given), operator()
    require_selection(ids, given, has_filter=not wanted.is_empty)
    why = "" if given["dry_run"] else _reason(reason)
    if not ids and not given["dry_run"]:
        _run_bulk(DISCARD, wanted, given["rate"], who, why)
        return
    letters = _open(load_settings())
    chosen = _chosen(letters, ids, wanted)
    _each(chosen, lambda some: sum(letters.discard_many(some, who=who, reason=why)), "discarded", given)


def _open(settings: Settings) -> DeadLetters:
    return DeadLetters(
        open_store(settings),
        Keys(settings.key_prefix),
        retention_seconds=settings.retention,
        handler_timeout=settings.handler_timeout,
    )


def _reason(given: str | None) -> str:
    if given is None and sys.stdin.isatty():
        given = click.prompt("Reason", err=True)
    reason = (given or "").strip()
    if not reason:
        raise click.UsageError('Give a reason: --reason "the account was deleted".')
    if len(reason) > LONGEST_REASON:
        raise click.UsageError(f"--reason may have {LONGEST_REASON} characters, not {len(reason)}.")
    return reason


def _run_bulk(verb: str, wanted: Filter, rate: float | None, who: str, reason: str = "") -> None:
    plan_and_run(open_actions(), verb, wanted, who=who, reason=reason, rate=rate)


def _chosen(letters: DeadLetters, ids: Sequence[str], wanted: Filter) -> list[DeadLetter]:
    return _found(letters, ids) if ids else list(letters.matching(wanted))


def _found(letters: DeadLetters, ids: Iterable[str]) -> list[DeadLetter]:
    found: list[DeadLetter] = []
    for some_id in ids:
        matches = letters.of(some_id)
        if not matches:
            raise NotFound(f"there is no dead letter {some_id}; `surehook dead-letters list` shows them")
        if len({letter.event_id for letter in matches}) > 1:
            raise click.UsageError(f"{some_id} is the beginning of several ids: give more of it.")
        found.extend(letter for letter in matches if letter not in found)
    return found


def _each(
    chosen: Sequence[DeadLetter], act: Callable[[Sequence[DeadLetter]], int], verb: str, given: dict[str, Any]
) -> None:
    each(chosen, act, given, line=_line, verb=verb, otherwise="no longer dead")


def _wanted(given: dict[str, Any]) -> Filter:
    group_id = whole_group_id(given["group"], open_groups()) if given["group"] else None
    return Filter(**filter_fields(given), error=given["error"], group_id=group_id)


def _died_at(letter: DeadLetter) -> datetime:
    return letter.died_at or datetime.min.replace(tzinfo=UTC)


def _facts(letter: DeadLetter) -> dict[str, Any]:
    return {
        "event_id": letter.event_id,
        "event_type": letter.event_type,
        "handler": letter.handler,
        "queue": letter.queue,
        "tenant_id": letter.tenant_id,
        "user_id": letter.user_id,
        "died_at": letter.died_at.isoformat() if letter.died_at else None,
        "error": letter.error,
        "group_id": letter.group_id or None,
    }


def _cells(letter: DeadLetter) -> tuple[str, ...]:
    return letter.event_id, utc(letter.died_at), letter.event_type, letter.handler or "?", letter.error


def _line(letter: DeadLetter) -> str:
    return "  ".join(map(visible_line, _cells(letter)))
