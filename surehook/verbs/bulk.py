"""What verbs that act on many things have in common: their options, a rate, progress, and what they say at the end."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

T = TypeVar("T")
SHOW_PROGRESS_FROM = 20


def bulk(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--rate", type=click.FloatRange(0, min_open=True), help="At most so many a second."),
        click.option("--dry-run", is_flag=True, help="Only say what would be done."),
        click.option("--all", "is_all", is_flag=True, help="All of them."),
    ):
        command = option(command)
    return command


def each(
    chosen: Sequence[T],
    act: Callable[[T], bool],
    options: dict[str, Any],
    *,
    line: Callable[[T], str],
    verb: str,
    otherwise: str,
) -> None:
    """Act on each, or with --dry-run show its line. `otherwise`: what those are on which it had no effect."""
    if options["dry_run"]:
        for one in chosen:
            click.echo(line(one))
        click.echo(f"{len(chosen)} would be {verb}")
        return
    count = 0
    hidden = len(chosen) < SHOW_PROGRESS_FROM or not sys.stderr.isatty()
    with click.progressbar(length=len(chosen), label=verb, file=sys.stderr, hidden=hidden) as bar:
        for one in chosen:
            count += act(one)
            bar.update(1)
            if options["rate"]:
                time.sleep(1 / options["rate"])
    click.echo(f"{count} {verb}" + (f", {len(chosen) - count} {otherwise}" if count < len(chosen) else ""))
