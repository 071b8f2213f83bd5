"""`surehook queues`: lists, pauses, resumes and limits queues."""

from collections.abc import Callable
from dataclasses import asdict

import click

from surehook.admin.limit_sentences import limit_sentence
from surehook.admin.queues import Queues
from surehook.shared.keys import Keys
from surehook.shared.limits import MOST_CONCURRENT, OFF, interval_ms
from surehook.shared.settings import load_settings
from surehook.shared.stats import QueueStats
from surehook.shared.visible import visible_line
from surehook.verbs.audit import note_here
from surehook.verbs.output import echo, echo_json
from surehook.verbs.store_client import open_store


class _OrOff(click.ParamType[int | str]):
    """A limit, or `off`."""

    name = "limit"

    def __init__(self, name: str, parse: Callable[[str], int | str]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value == OFF:
            return OFF
        try:
            return self._parse(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


def _concurrency(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= MOST_CONCURRENT:
        raise ValueError(f"a whole number from 1 to {MOST_CONCURRENT}, or off, not {value!r}")
    return int(value)


def _rate(value: str) -> str:
    interval_ms(value)
    return value


CONCURRENCY, RATE = _OrOff("number", _concurrency), _OrOff("rate", _rate)
HEAD = ("queue", "waiting", "running", "scheduled", "deferred", "dead", "workers", "oldest", "")
DEFERRED_COLUMN = HEAD.index("deferred")


@click.group()
def queues() -> None:
    """List, pause, resume or limit queues."""


@queues.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(as_json: bool) -> None:
    """List queues: their jobs, their workers, how long the oldest job has waited."""
    found = _open().read()
    if as_json:
        for queue in found.queues:
            facts = {name: fact for name, fact in asdict(queue).items() if name != "limits" or fact}
            echo_json(facts | {"is_suspended": found.is_suspended})
        return
    table = [HEAD, *map(_cells, found.queues)]
    if not any(queue.deferred for queue in found.queues):  # only handlers with an order have any
        table = [tuple(cell for at, cell in enumerate(row) if at != DEFERRED_COLUMN) for row in table]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for number, (name, *numbers, state) in enumerate(table):
        cells = [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=False)]
        echo("  ".join((name.ljust(widths[0]), *cells, state)).rstrip())
        if number and (limits := found.queues[number - 1].limits):
            echo(f"  {limit_sentence(limits)}")
    if found.is_suspended:
        echo("All workers are suspended by `rq suspend`; `rq resume` ends that.")


@queues.command()
@click.argument("name")
def pause(name: str) -> None:
    """Claim no more jobs from a queue. Running handlers finish; new and due jobs wait."""
    note_here("queue paused", name)
    is_new = _open().pause(name)
    echo(f"{visible_line(name)} is paused" if is_new else f"{visible_line(name)} was paused already")


@queues.command()
@click.argument("name")
def resume(name: str) -> None:
    """Let workers claim jobs from a queue again.

    Ends a pause, one that a handler has asked for with RetryLater(…, everyone=True), too, and closes an open breaker.
    """
    note_here("queue resumed", name)
    was_paused = _open().resume(name)
    echo(f"{name} is resumed" if was_paused else f"{name} was not paused")


@queues.command()
@click.argument("name")
@click.option("--concurrency", type=CONCURRENCY, help="At most this many runs at a time; `off` for any number.")
@click.option("--rate", type=RATE, help='At most this many starts, as in "100/m" (s, m, h, d); `off` for any.')
@click.option("--clear", is_flag=True, help="Leave the limits to the code again.")
def limit(name: str, concurrency: int | str | None, rate: str | None, clear: bool) -> None:
    """Change the limits of a handler's own queue, on all machines and immediately, until they are cleared.

    Without options: show them.
    """
    found = _open()
    if clear and (concurrency is not None or rate is not None):
        raise click.UsageError("--clear leaves both limits to the code: it takes no --concurrency and no --rate.")
    if clear:
        note_here("limits cleared", name)
        found.clear_limits(name)
    elif concurrency is not None or rate is not None:
        note_here(f"limits set to concurrency {concurrency}, rate {rate}".replace("None", "unchanged"), name)
        found.limit(name, concurrency=concurrency, rate=rate)
    limits = found.limits(name)
    echo(f"{visible_line(name)}: {limit_sentence(limits)}")


def _open() -> Queues:
    settings = load_settings()
    return Queues(open_store(settings), Keys(settings.key_prefix))


def _cells(queue: QueueStats) -> tuple[str, ...]:
    numbers = (queue.waiting, queue.running, queue.scheduled, queue.deferred, queue.dead, queue.workers)
    age = f"{queue.oldest_waiting_seconds:,.0f} s" if queue.waiting else "-"
    return (visible_line(queue.name), *(f"{number:,}" for number in numbers), age, "paused" if queue.is_paused else "")
