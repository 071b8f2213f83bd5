"""Order: events of other keys while thousands wait behind a blocked key, and what becomes of those that wait.

A step's *longest script* is the time for which the store answers no other client, from its slow log. It has a floor: a
busy machine takes the processor away from the store now and then.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import islice, repeat
from uuid import uuid4

import click
import redis

from bench import figures
from harness.events import a_body, an_event
from harness.stack import Stack, wait_until
from surehook.shared.envelope import parse_envelope
from surehook.shared.job_id import packed_id
from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import Argument, Script

WAITING = 10_000
OTHERS, ROUNDS = 1_000, 5
PROCESSES = 2
LONGEST_SECONDS = 600.0
LOGGED_FROM_US = 1_000
AT_ONCE = 200
KEYS = Keys()
BLOCKED, SKIPPED = (str(uuid4()) for _ in range(2))
HANDLERS = f"""
@on("user.update", name="mirror", ordered_by="user", retries=0)
def mirror(event):
    if str(event.user.id) == "{BLOCKED}" and not os.path.exists("released"):
        raise OSError

@on("user.create", name="skips", ordered_by="user", on_dead="skip", retries=0)
def skips(event):
    if str(event.user.id) == "{SKIPPED}":
        raise OSError
"""
Row = tuple[str, ...]


def run(stack: Stack) -> None:
    """Measure and print."""
    waiting = int(os.environ.get("BENCH_ORDER", WAITING))
    stack.write_handlers(HANDLERS)
    with closing(Stack(HANDLERS)) as other, stack.redis() as store, other.redis() as unblocked:
        for each in (stack, other):
            each.start_worker("--processes", str(PROCESSES), SUREHOOK_WORKER_METRICS_BIND="off")
            wait_until(lambda each=each: len(each.worker_pids()) == PROCESSES)  # type: ignore[misc]
        rows = [_measured(store, "one key, which becomes blocked", waiting, partial(_block, store, waiting))]
        speeds = [_round(store, unblocked, waiting, is_first=number % 2 == 0) for number in range(ROUNDS)]
        rows += list(_afterwards(stack, store, waiting))
    beside, alone = zip(*speeds, strict=True)
    click.echo(f"order: {OTHERS:,} events of other keys, {PROCESSES} processes of 8 threads, {ROUNDS} rounds in turn\n")
    click.echo(
        figures.table(
            [
                ("what", "events/s"),
                (f"beside {waiting:,} events behind a blocked one", figures.rate(beside)),
                ("nothing blocked", figures.rate(alone)),
            ]
        )
    )
    click.echo(f"ratio: {figures.ratio(beside, alone)}\n")
    click.echo(figures.table([("a step", "events", "seconds", "events/s", "longest script, ms"), *rows]))


def _round(blocked: redis.Redis, unblocked: redis.Redis, waiting: int, *, is_first: bool) -> tuple[float, float]:
    """Events of other keys a second: beside the blocked one, and without."""
    sides = [(blocked, waiting), (unblocked, 0)]
    found = {each[1]: _others(*each) for each in (sides if is_first else reversed(sides))}
    return found[waiting], found[0]


def _others(store: redis.Redis, waiting: int) -> float:
    began = time.monotonic()
    accept(store, "user.update", (str(uuid4()) for _ in range(OTHERS)))
    wait_until(lambda: store.zcard(KEYS.open) == waiting, "the others run", seconds=LONGEST_SECONDS)
    return OTHERS / (time.monotonic() - began)


def _block(store: redis.Redis, waiting: int) -> None:
    accept(store, "user.update", repeat(BLOCKED, waiting))
    wait_until(lambda: store.zcard(KEYS.rq_deferred(EVENTS_QUEUE)) == waiting - 1, "they wait", LONGEST_SECONDS)


def _afterwards(stack: Stack, store: redis.Redis, waiting: int) -> Iterator[Row]:
    def release() -> None:
        (stack.folder / "released").touch()
        _command(stack, "dead-letters", "replay", "--all")

    def skip() -> None:
        accept(store, "user.create", repeat(SKIPPED, waiting))
        dead = KEYS.rq_failed(EVENTS_QUEUE)
        wait_until(lambda: store.zcard(dead) == waiting, "all are dead", LONGEST_SECONDS)

    yield _measured(store, "the blocked line, released", waiting, release, stack)
    (stack.folder / "released").unlink()
    _block(store, waiting)
    erase = partial(_command, stack, "events", "erase", "--user", BLOCKED)
    yield _measured(store, "a blocked line, its user erased", waiting, erase, stack)
    yield _measured(store, 'one key with on_dead="skip", all fail', waiting, skip)


def _command(stack: Stack, *words: str) -> None:
    if stack.surehook(*words).wait(LONGEST_SECONDS):
        raise SystemExit(f"{' '.join(words)} failed: {stack.logged()[-500:]}")


def _measured(store: redis.Redis, name: str, events: int, step: Callable[[], None], until: Stack | None = None) -> Row:
    """Takes a step; with `until` it ends when no event is open there."""
    store.config_set("slowlog-log-slower-than", LOGGED_FROM_US)
    store.config_set("slowlog-max-len", 100_000)
    store.slowlog_reset()
    began = time.monotonic()
    step()
    if until is not None:
        wait_until(lambda: not until.open_events(), "no event is open", seconds=LONGEST_SECONDS)
    seconds = time.monotonic() - began
    longest = max((entry["duration"] for entry in store.slowlog_get(100_000)), default=LOGGED_FROM_US)
    return (name, f"{events:,}", f"{seconds:.1f}", f"{events / seconds:,.0f}", f"{longest / 1000:.0f}")


def accept(store: redis.Redis, event_type: str, user_ids: Iterable[str]) -> None:
    """Stores events as the endpoint does."""
    script = Script("accept", KEYS)
    events = _events(event_type, user_ids)
    while some := list(islice(events, AT_ONCE)):
        script.run_many(store, some)


def _events(event_type: str, user_ids: Iterable[str]) -> Iterator[tuple[Argument, ...]]:
    for user_id in user_ids:
        event = parse_envelope(a_body(an_event(event_type, user={"id": user_id})))
        facts = (event.event_id, event.event_type, event.tenant_id, event.user_id, event.application_ids)
        yield (*facts, "webhook", event.body, EVENTS_QUEUE, "30", "", packed_id(event.event_id))
