"""`surehook queues`: lists, pauses and resumes queues."""

from dataclasses import asdict

import click

from surehook.admin.queues import Queues
from surehook.shared.keys import Keys
from surehook.shared.settings import load_settings
from surehook.shared.stats import QueueStats
from surehook.shared.store import connect, wait_for_store
from surehook.shared.visible import visible_line
from surehook.verbs.output import echo, echo_json

TIMEOUT_SECONDS = 10.0
HEAD = ("queue", "waiting", "running", "scheduled", "deferred", "dead", "workers", "oldest", "")


@click.group()
def queues() -> None:
    """List, pause or resume queues."""


@queues.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(as_json: bool) -> None:
    """List queues: their jobs, their workers, how long the oldest job has waited."""
    found = _open().read()
    if as_json:
        for queue in found.queues:
            echo_json(asdict(queue) | {"is_suspended": found.is_suspended})
        return
    table = [HEAD, *map(_cells, found.queues)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for name, *numbers, state in table:
        cells = [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=False)]
        echo("  ".join((name.ljust(widths[0]), *cells, state)).rstrip())
    if found.is_suspended:
        echo("All workers are suspended by `rq suspend`; `rq resume` ends that.")


@queues.command()
@click.argument("name")
def pause(name: str) -> None:
    """Claim no more jobs from a queue. Running handlers finish; new and due jobs wait."""
    is_new = _open().pause(name)
    echo(f"{visible_line(name)} is paused" if is_new else f"{visible_line(name)} was paused already")


@queues.command()
@click.argument("name")
def resume(name: str) -> None:
    """Let workers claim jobs from a queue again."""
    was_paused = _open().resume(name)
    echo(f"{name} is resumed" if was_paused else f"{name} was not paused")


def _open() -> Queues:
    settings = load_settings()
    wait_for_store(settings)
    return Queues(connect(settings, timeout_seconds=TIMEOUT_SECONDS), Keys(settings.key_prefix))


def _cells(queue: QueueStats) -> tuple[str, ...]:
    numbers = (queue.waiting, queue.running, queue.scheduled, queue.deferred, queue.dead, queue.workers)
    age = f"{queue.oldest_waiting_seconds:,.0f} s" if queue.waiting else "-"
    return (visible_line(queue.name), *(f"{number:,}" for number in numbers), age, "paused" if queue.is_paused else "")
