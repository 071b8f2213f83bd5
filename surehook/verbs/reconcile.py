"""`surehook reconcile`: fetches events that FusionAuth fired for us and that did not arrive."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from surehook.shared.errors import Misconfigured, SurehookError
from surehook.shared.settings import Settings, load_settings
from surehook.verbs.options import INSTANT, SPAN, as_json, dry_run
from surehook.verbs.output import echo, echo_json
from surehook.verbs.progress import Progress as ProgressLine

if TYPE_CHECKING:
    from surehook.fusionauth.client import FusionAuthClient
    from surehook.fusionauth.log_pages import EventLogReader
    from surehook.fusionauth.reconcile.statement import Statement

TIMEOUT_SECONDS = 10.0
FIRST_PERIOD_MS = 24 * 3_600_000
# Entries of the last moments may still change, and FusionAuth's clock may be behind ours.
NEWEST_MS = 30_000
# The end of the last period is read again: a node whose clock is behind inserts entries late.
OVERLAP_MS = 15 * 60_000
SLOW_SEARCH_SECONDS = 10.0
# With --every: the pause after a run that failed, if the regular one is longer. A lock of a killed run is gone by then.
RETRY_SECONDS = 60.0
PING_SECONDS = 0.25  # how often the watchdog may be fed
TERMINATED = 128 + signal.SIGTERM


@click.command()
@click.option(
    "--since", type=INSTANT, help="The beginning (UTC), or 2h for two hours ago; by default the last run's end."
)
@click.option("--until", type=INSTANT, help="The end (UTC), or 5m for five minutes ago; by default half a minute ago.")
@click.option("--every", type=SPAN, help="Run again and again, with this pause, such as 5m.")
@click.option("--webhook", "chosen", multiple=True, metavar="ID", help="Our webhook's id; several for former ones.")
@click.option(
    "--rate",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Searches a second at most; a search is work for FusionAuth.",
)
@dry_run
@as_json
def reconcile(**options: Any) -> None:
    """Find events that FusionAuth fired for us and that did not arrive, and run their handlers.

    Reads FusionAuth's Webhook Event Log, and ends with a statement of how complete the period is. Exit status 1 if
    something is missing that cannot be had.
    """
    if options["every"] and (options["since"] or options["until"]):
        raise click.UsageError("--every goes on where the last run ended: it takes neither --since nor --until.")
    settings = load_settings()
    from surehook.fusionauth.client import open_client

    with _ended_by_sigterm(0 if options["every"] else TERMINATED), open_client(settings) as client:
        if not options["every"]:
            sys.exit(0 if _run(settings, client, options).is_complete else 1)
        _run_for_ever(settings, client, options)


def _run_for_ever(settings: Settings, client: "FusionAuthClient", options: dict[str, Any]) -> None:
    from surehook.shared.service_manager import ServiceManager
    from surehook.shared.store import error_for_operator

    service = ServiceManager()
    service.ready()
    try:
        while True:
            service.alive()
            pause = options["every"]
            try:
                _run(settings, client, options, is_alive=service.alive)
            except Exception as exc:
                # The store or FusionAuth may be back at the next run.
                error = exc if isinstance(exc, SurehookError) else error_for_operator(exc)
                if error is None or isinstance(error, Misconfigured):
                    raise
                echo(f"surehook: {error}", err=True)
                pause = min(pause, RETRY_SECONDS)
            until = time.monotonic() + pause
            while (left := until - time.monotonic()) > 0:
                service.alive()
                time.sleep(min(left, PING_SECONDS))
    finally:
        service.stopping()


@contextmanager
def _ended_by_sigterm(status: int) -> Iterator[None]:
    """Leaves on SIGTERM as on Ctrl-C, so that the lock is released: otherwise the next run would have to wait."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(status))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(
    settings: Settings,
    client: "FusionAuthClient",
    options: dict[str, Any],
    is_alive: Callable[[], None] = lambda: None,
) -> "Statement":
    from surehook.fusionauth.reconcile.progress import Progress
    from surehook.fusionauth.reconcile.recovery import Recovery
    from surehook.fusionauth.reconcile.runner import Reconciler
    from surehook.fusionauth.reconcile.source import our_webhooks, problems_of, require_event_log
    from surehook.shared.keys import Keys
    from surehook.shared.store import connect, wait_for_store

    wait_for_store(settings)
    require_event_log(client)
    _tell_clock_skew(client)
    with (
        connect(settings, timeout_seconds=TIMEOUT_SECONDS) as store,
        Progress(store, Keys(settings.key_prefix), options["chosen"]) as progress,
        ProgressLine("searches") as line,
    ):
        decided_until = progress.decided_until()
        start_ms, end_ms = _period(options, decided_until, client)
        position = Position(line, start_ms, end_ms)
        problems = problems_of(client, start_ms, client.now_ms())
        for problem in problems:
            echo(f"surehook: {problem}", err=True)
        reconciler = Reconciler(
            log=TimedLog(client),
            events=Recovery(store, settings),
            webhooks=our_webhooks(client, settings, options["chosen"]),
            now_ms=client.now_ms,
            id_retention_ms=settings.id_retention * 1000,
            max_body_bytes=settings.max_body_bytes,
            advance=_advance(progress.advance, decided_until, start_ms, end_ms),
            pace=_pace(options["rate"], progress.renew, position.step, is_alive),
            on_window=position.go_on,
        )
        statement = reconciler.run(start_ms, end_ms, is_dry_run=options["dry_run"])
        statement.problems += problems
        if not statement.is_dry_run:
            progress.save(statement)
    for name in statement.ids.get("unreadable", ()):
        echo(f"surehook: FusionAuth's log cannot be read at one entry: {name}", err=True)
    if options["as_json"]:
        echo_json(statement.as_json())
    else:
        echo(statement.text())
    return statement


@dataclass
class Position:
    """Shows how far a run has come in its period."""

    line: ProgressLine
    start_ms: int
    end_ms: int
    shown: str = ""

    def step(self) -> None:
        self.line.step(detail=self.shown)

    def go_on(self, until_ms: int, statement: "Statement") -> None:
        share = (until_ms - self.start_ms) / (self.end_ms - self.start_ms)
        until = datetime.fromtimestamp(until_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        self.shown = f": up to {until} ({share:.0%}), {statement.recovered:,} recovered"


def _advance(
    advance: Callable[[int], None], decided_until: int | None, start_ms: int, end_ms: int
) -> Callable[[int], None]:
    """Returns a function that moves the mark. Only a run that leaves no gap behind the last one moves it."""
    if decided_until is not None and start_ms > decided_until:
        return lambda _: None
    # A mark in the future was set before FusionAuth's clock was put back: the time until then comes again.
    floor = decided_until if decided_until is not None and decided_until <= end_ms else 0
    return lambda at_ms: advance(max(at_ms, floor))


def _period(options: dict[str, Any], decided_until: int | None, client: "FusionAuthClient") -> tuple[int, int]:
    """Returns the period by FusionAuth's clock; the options are by ours."""
    end_ms = _milliseconds(options["until"], client) or client.now_ms() - NEWEST_MS
    default = end_ms - FIRST_PERIOD_MS if decided_until is None else min(decided_until, end_ms) - OVERLAP_MS
    start_ms = _milliseconds(options["since"], client) or default
    if start_ms >= end_ms:
        raise click.UsageError("The period is empty: --since must be before --until, and half a minute in the past.")
    return start_ms, end_ms


def _milliseconds(instant: datetime | None, client: "FusionAuthClient") -> int | None:
    return None if instant is None else int(instant.timestamp() * 1000) + client.clock_skew_ms


def _tell_clock_skew(client: "FusionAuthClient") -> None:
    skew_ms = client.clock_skew_ms
    if abs(skew_ms) > NEWEST_MS:
        side = "ahead of" if skew_ms > 0 else "behind"
        apart = timedelta(seconds=round(abs(skew_ms) / 1000))
        echo(f"surehook: FusionAuth's clock is {apart} {side} this machine's: the statement is by its clock", err=True)


class TimedLog:
    """Searches the event log, and says once if that takes long."""

    def __init__(self, log: "EventLogReader") -> None:
        self._log, self._is_told = log, False

    def search_event_log(self, **search: int) -> tuple[int, list[dict[str, Any]]]:
        started_at = time.monotonic()
        try:
            return self._log.search_event_log(**search)
        finally:
            if time.monotonic() - started_at > SLOW_SEARCH_SECONDS and not self._is_told:
                self._is_told = True
                echo("surehook: FusionAuth's event log answers slowly: it may be very large", err=True)


def _pace(rate: float, *before_each: Callable[[], None]) -> Callable[[], None]:
    """Returns a function that waits for its turn, and then calls these."""
    last = 0.0

    def wait() -> None:
        nonlocal last
        time.sleep(max(0.0, last + 1 / rate - time.monotonic()))
        last = time.monotonic()
        for function in before_each:
            function()

    return wait
