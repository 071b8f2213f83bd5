"""`surehook spool`: shows the events that wait on this machine's disk for the store, and forwards them."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from surehook.shared.exit_status import FAILED
from surehook.shared.settings import OFF, Settings, load_settings
from surehook.shared.visible import visible_line
from surehook.verbs.options import as_json as json_option
from surehook.verbs.output import echo, echo_json
from surehook.verbs.tables import echo_table, utc

if TYPE_CHECKING:
    from surehook.admin.spool import SpooledEvent, SpoolSummary

IS_OFF = "SUREHOOK_SPOOL_DIR is off: there is no spool."
KIBIBYTE, MEBIBYTE = 1024, 1024 * 1024


@click.group()
def spool() -> None:
    """Events on this machine's disk that wait for the store."""


@spool.command("list")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most this many events.")
@json_option
def list_(limit: int, as_json: bool) -> None:
    """List waiting events, and what was set aside."""
    from surehook.admin.spool import SpoolReader

    settings = load_settings()
    reader = SpoolReader(settings)
    events = reader.events(limit)
    if as_json:
        for event in events:
            echo_json(_facts(event))
        return
    rows = [
        (each.id, each.type, utc(each.received_at), f"refused: {each.refused}" if each.refused else "waiting")
        for each in events
    ]
    echo_table(("id", "type", "received (UTC)", "state"), rows)
    echo(_in_words(reader.summary(), settings))


@spool.command()
@click.option("--any-store", is_flag=True, help="Also what was left for another address: the store has moved here.")
def flush(any_store: bool) -> None:
    """Forward what dead processes have left.

    Refused events are offered to the store again. Running processes forward their own events by themselves, as soon as
    the store is ready.
    """
    from surehook.admin.spool import SpoolReader, flush

    settings = load_settings()
    if settings.spool_dir == OFF:
        echo(IS_OFF)
        return
    flushed = flush(settings, of_any_store=any_store)
    others = SpoolReader(settings).summary().events - flushed.remaining
    echo(f"{flushed.forwarded:,} events are forwarded")
    if others > 0:
        echo(f"{others:,} wait in running processes, which forward them, or are refused: surehook spool list")
    if flushed.remaining:
        echo(f"{flushed.remaining:,} still wait: the store takes no more of them now", err=True)
        sys.exit(FAILED)


def _facts(event: "SpooledEvent") -> dict[str, object]:
    return {
        "id": event.id,
        "type": event.type,
        "received_at": event.received_at.isoformat(timespec="milliseconds"),
        "bytes": event.bytes,
        "refused": event.refused or None,
    }


def _in_words(summary: "SpoolSummary", settings: Settings) -> str:
    if settings.spool_dir == OFF:
        return IS_OFF
    size = (
        f"{summary.bytes / MEBIBYTE:,.1f} MiB" if summary.bytes >= MEBIBYTE else f"{summary.bytes / KIBIBYTE:.1f} KiB"
    )
    lines = [f"Nothing waits in {visible_line(settings.spool_dir)}."]
    if summary.events:
        age = (datetime.now(UTC) - summary.oldest_at).total_seconds() if summary.oldest_at else 0
        lines = [f"{summary.events:,} events, {size}, the oldest from {age:,.0f} s ago."]
    if summary.left:
        lines.append(f"{summary.left:,} of them were left by dead processes: start ingest, or surehook spool flush.")
    if summary.refused:
        lines.append(f"{summary.refused:,} are refused by the store: remove the cause, then surehook spool flush.")
    if summary.elsewhere:
        others = ", ".join(map(visible_line, summary.other_stores))
        lines.append(
            f"{summary.elsewhere:,} events are for another store ({others}), whose own Surehook forwards them.\n"
            "If the store has moved to the present address: surehook spool flush --any-store"
        )
    lines += [f"set aside, damaged or not ours: {visible_line(path)}" for path in summary.set_aside]
    lines += [f"cannot be read by this user or this version: {visible_line(path)}" for path in summary.unreadable]
    return "\n".join(lines)
