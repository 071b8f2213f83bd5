"""`surehook dead-letters`: what will not run again by itself, and what to do about it."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from surehook.admin.dead_letters import DeadLetter, DeadLetters, Filter
from surehook.shared.errors import NotFound
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings, load_settings
from surehook.shared.store import connect, wait_for_store
from surehook.verbs.bulk import bulk, each

TIMEOUT_SECONDS = 10.0
INSTANT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


def filters(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--error", help="Part of the error."),
        click.option("--until", type=INSTANT, help="Died then or before (local time)."),
        click.option("--since", type=INSTANT, help="Died then or later (local time)."),
        click.option("--tenant", help="The event's tenant id."),
        click.option("--user", help="The event's user id."),
        click.option("--handler", help="The handler's id."),
        click.option("--type", "event_type", help="The event's type."),
    ):
        command = option(command)
    return command


@click.group("dead-letters")
def dead_letters() -> None:
    """List, show, replay or discard events that ran out of retries."""


@dead_letters.command("list")
@filters
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(as_json: bool, **wanted: Any) -> None:
    """List dead letters."""
    count = 0
    letters = _open(load_settings())
    for letter in sorted(letters.matching(_filter(wanted)), key=_died_at):
        count += 1
        click.echo(json.dumps(_facts(letter)) if as_json else _line(letter))
    if not as_json and not count:
        click.echo("no dead letters")


@dead_letters.command()
@click.argument("some_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(some_id: str, as_json: bool) -> None:
    """Show a dead letter: its attempts and its traceback. ID: the event's, or its first characters."""
    letters = _open(load_settings())
    for letter in _found(letters, [some_id]):
        attempts, traceback = letters.attempts(letter), letters.traceback(letter)
        if as_json:
            click.echo(json.dumps(_facts(letter) | {"attempts": attempts, "traceback": traceback}))
            continue
        click.echo(_line(letter))
        for attempt in attempts:
            click.echo(
                f"  {attempt['at']}  attempt {attempt['number']}  {attempt['outcome']}  "
                f"{attempt['elapsed_ms']} ms  {attempt['error']}"
            )
        click.echo(f"\n{traceback}", nl=False)


@dead_letters.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@filters
@bulk
def replay(ids: Sequence[str], **options: Any) -> None:
    """Run dead letters again, each with its full budget of retries."""
    letters = _open(load_settings())
    _each(_chosen(letters, ids, options), letters.replay, "replayed", options)


@dead_letters.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@filters
@bulk
def discard(ids: Sequence[str], **options: Any) -> None:
    """Close dead letters for good: they will never run."""
    letters = _open(load_settings())
    _each(_chosen(letters, ids, options), letters.discard, "discarded", options)


def _open(settings: Settings) -> DeadLetters:
    wait_for_store(settings)
    store = connect(settings, timeout_seconds=TIMEOUT_SECONDS)
    return DeadLetters(
        store,
        Keys(settings.key_prefix),
        retention_seconds=settings.retention,
        handler_timeout=settings.handler_timeout,
    )


def _chosen(letters: DeadLetters, ids: Sequence[str], options: dict[str, Any]) -> list[DeadLetter]:
    wanted = _filter(options)
    if ids:
        return _found(letters, ids)
    if wanted.is_empty and not options["is_all"]:
        raise click.UsageError("Name ids, a filter such as --type user.delete, or --all.")
    return list(letters.matching(wanted))


def _found(letters: DeadLetters, ids: Iterable[str]) -> list[DeadLetter]:
    found = []
    for some_id in ids:
        matches = letters.of(some_id)
        if not matches:
            raise NotFound(f"there is no dead letter {some_id}; `surehook dead-letters list` shows them")
        if len({letter.event_id for letter in matches}) > 1:
            raise click.UsageError(f"{some_id} is the beginning of several ids: give more of it.")
        found.extend(matches)
    return found


def _each(chosen: Sequence[DeadLetter], act: Callable[[DeadLetter], bool], verb: str, options: dict[str, Any]) -> None:
    each(chosen, act, options, line=_line, verb=verb, otherwise="no longer dead")


def _filter(wanted: dict[str, Any]) -> Filter:
    return Filter(
        event_type=wanted["event_type"],
        handler=wanted["handler"],
        user_id=_lower(wanted["user"]),
        tenant_id=_lower(wanted["tenant"]),
        since=_aware(wanted["since"]),
        until=_aware(wanted["until"]),
        error=wanted["error"],
    )


def _lower(value: str | None) -> str | None:
    return value.lower() if value else None


def _aware(instant: datetime | None) -> datetime | None:
    return instant.astimezone() if instant else None


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
    }


def _line(letter: DeadLetter) -> str:
    died_at = letter.died_at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if letter.died_at else "?"
    return f"{letter.event_id}  {died_at}  {letter.event_type}  {letter.handler or '?'}  {letter.error}"
