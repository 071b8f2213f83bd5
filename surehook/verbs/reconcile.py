"""`surehook reconcile`: fetches events that FusionAuth fired for us and that did not arrive."""

import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from surehook.shared.errors import Misconfigured, StoreError, SurehookError
from surehook.shared.settings import Settings, load_settings
from surehook.verbs.options import INSTANT, SPAN, as_json, dry_run
from surehook.verbs.output import echo, echo_json
from surehook.verbs.progress import Progress as ProgressLine

if TYPE_CHECKING:
    from surehook.fusionauth.client import FusionAuthClient
    from surehook.fusionauth.reconcile.statement import Statement

TIMEOUT_SECONDS = 10.0
FIRST_PERIOD_MS = 24 * 3_600_000
# Entries of the last moments may still change, and FusionAuth's clock may be behind ours.
NEWEST_MS = 30_000
# The end of the last period is read again: a node whose clock is behind inserts entries late.
OVERLAP_MS = 15 * 60_000
SLOW_SEARCH_SECONDS = 10.0


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

    with open_client(settings) as client:
        if not options["every"]:
            sys.exit(0 if _run(settings, client, options).is_complete else 1)
        while True:
            try:
                _run(settings, client, options)
            except Misconfigured:
                raise
            except (SurehookError, StoreError) as exc:
                echo(f"surehook: {exc}", err=True)
            time.sleep(options["every"])


def _run(settings: Settings, client: "FusionAuthClient", options: dict[str, Any]) -> "Statement":
    from surehook.fusionauth.reconcile.progress import Progress
    from surehook.fusionauth.reconcile.recovery import Recovery
    from surehook.fusionauth.reconcile.runner import Reconciler
    from surehook.fusionauth.reconcile.source import our_webhooks, problems_of, require_event_log
    from surehook.shared.keys import Keys
    from surehook.shared.store import connect, wait_for_store

    wait_for_store(settings)
    store, keys = connect(settings, timeout_seconds=TIMEOUT_SECONDS), Keys(settings.key_prefix)
    require_event_log(client)
    with Progress(store, keys) as progress, ProgressLine("searches") as line:
        decided_until = progress.decided_until()
        start_ms, end_ms = _period(options, decided_until)
        # Only a run that leaves no gap behind the last one moves the mark.
        is_next = decided_until is None or start_ms <= decided_until
        reconciler = Reconciler(
            log=client,
            events=Recovery(store, settings),
            webhooks=our_webhooks(client, settings, options["chosen"]),
            now_ms=_now_ms,
            id_retention_ms=settings.retention * 1000,
            advance=lambda at_ms: progress.advance(max(at_ms, decided_until or 0)) if is_next else None,
            pace=_pace(options["rate"], progress.renew, line.step),
        )
        statement = reconciler.run(start_ms, end_ms, is_dry_run=options["dry_run"])
        statement.problems += problems_of(client, start_ms, _now_ms())
        if not statement.is_dry_run:
            progress.save(statement)
    if options["as_json"]:
        echo_json(statement.as_json())
    else:
        echo(statement.text())
    return statement


def _period(options: dict[str, Any], decided_until: int | None) -> tuple[int, int]:
    end_ms = _milliseconds(options["until"]) or _now_ms() - NEWEST_MS
    default = decided_until - OVERLAP_MS if decided_until is not None else end_ms - FIRST_PERIOD_MS
    start_ms = _milliseconds(options["since"]) or default
    if start_ms >= end_ms:
        raise click.UsageError("The period is empty: --since must be before --until, and half a minute in the past.")
    return start_ms, end_ms


def _milliseconds(instant: datetime | None) -> int | None:
    return None if instant is None else int(instant.timestamp() * 1000)


def _now_ms() -> int:
    return int(time.time() * 1000)


def _pace(rate: float, renew: Callable[[], None], step: Callable[[], None]) -> Callable[[], None]:
    """Returns a function that waits for its turn. It says once if FusionAuth's searches are slow."""
    last = 0.0
    is_told = False

    def wait() -> None:
        nonlocal last, is_told
        now = time.monotonic()
        if last and now - last > SLOW_SEARCH_SECONDS and not is_told:
            is_told = True
            echo("surehook: FusionAuth's event log answers slowly: it may be very large", err=True)
        time.sleep(max(0.0, last + 1 / rate - now))
        last = time.monotonic()
        renew()
        step()

    return wait
