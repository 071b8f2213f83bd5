"""The options that commands share, and the loop over the selected items."""

import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from surehook.admin.instants import UNITS, read_time
from surehook.admin.portions import portion_at
from surehook.verbs.output import echo

Command = Callable[..., None]
T = TypeVar("T")
SHOW_PROGRESS_FROM = 20


class Span(click.ParamType[float]):
    """A length of time such as 90s, 5m, 2h or 3d, as seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        match = re.fullmatch(r"(\d{1,6})([smhd])", value)
        if match is None or int(match[1]) == 0:
            self.fail(f"{value!r} is no length of time: expected one such as 90s, 5m, 2h or 3d.", param, ctx)
        return timedelta(**{UNITS[match[2]]: int(match[1])}).total_seconds()


class Instant(click.ParamType[datetime]):
    """A time in UTC, or how long ago it was, such as 2h."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        if re.fullmatch(r"\d+[smhd]", value):
            seconds = SPAN.convert(value, param, ctx)
            with suppress(OverflowError):  # before the year 1
                return datetime.now(UTC) - timedelta(seconds=seconds)
        found = read_time(value)
        if found is None:
            self.fail(
                f"{value!r} is no time: expected one in UTC such as {EXAMPLE}, or 2h for two hours ago.", param, ctx
            )
        return found


EXAMPLE = "2026-11-29T14:05"
SPAN = Span()
INSTANT = Instant()

as_json = click.option("--json", "as_json", is_flag=True, help="JSON, one object a line.")
dry_run = click.option("--dry-run", is_flag=True, help="Show what would be done, change nothing.")
rate = click.option("--rate", type=click.FloatRange(0, min_open=True), help="At most this many a second.")


def filters(instant: str) -> Callable[[Command], Command]:
    """The filters by an event's fields. `instant` names the instant that --since and --until compare."""

    def add(command: Command) -> Command:
        for option in (
            click.option("--until", type=INSTANT, help=f"{instant} at this time (UTC) or before: as for --since."),
            click.option(
                "--since",
                type=INSTANT,
                help=f"{instant} at this time (UTC) or later: {EXAMPLE}, or 2h for two hours ago.",
            ),
            click.option("--tenant", help="The event's tenant id."),
            click.option("--user", help="The event's user id."),
            click.option("--handler", help="The handler's id."),
            click.option("--type", "event_type", help="The event's type."),
        ):
            command = option(command)
        return command

    return add


def filter_fields(given: dict[str, Any]) -> dict[str, Any]:
    """The values of `filters` as the filters of `surehook.admin` name them."""
    return {
        "event_type": given["event_type"],
        "handler": given["handler"],
        "user_id": _lower(given["user"]),
        "tenant_id": _lower(given["tenant"]),
        "since": given["since"],
        "until": given["until"],
    }


def bulk(command: Command) -> Command:
    for option in (rate, dry_run, click.option("--all", "is_all", is_flag=True, help="Select everything.")):
        command = option(command)
    return command


def require_selection(ids: Sequence[str], given: dict[str, Any], *, has_filter: bool) -> None:
    """Checks that a bulk command is given either ids, or filters, or --all."""
    if ids and (has_filter or given["is_all"]):
        raise click.UsageError("Name ids or filters, not both: ids would be taken whether they match or not.")
    if not ids and not has_filter and not given["is_all"]:
        raise click.UsageError("Name ids, a filter such as --type user.delete, or --all.")


def each(
    chosen: Sequence[T],
    act: Callable[[Sequence[T]], int],
    options: dict[str, Any],
    *,
    line: Callable[[T], str],
    verb: str,
    otherwise: str,
) -> None:
    """Acts on portions of the items, or with --dry-run prints each. `otherwise` explains why some did not change.

    `act` returns how many it has changed.
    """
    if options["dry_run"]:
        for item in chosen:
            echo(line(item))
        echo(f"{len(chosen)} would be {verb}")
        return
    count = 0
    hidden = len(chosen) < SHOW_PROGRESS_FROM or not sys.stderr.isatty()
    with click.progressbar(length=len(chosen), label=verb, file=sys.stderr, hidden=hidden) as bar:
        at_once = portion_at(options["rate"])
        for start in range(0, len(chosen), at_once):
            portion = chosen[start : start + at_once]
            count += act(portion)
            bar.update(len(portion))
            if options["rate"]:
                time.sleep(len(portion) / options["rate"])
    echo(f"{count} {verb}" + (f", {len(chosen) - count} {otherwise}" if count < len(chosen) else ""))


def _lower(value: str | None) -> str | None:
    return value.lower() if value else None
