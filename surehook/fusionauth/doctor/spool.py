"""Checks of this machine's spool: its folder, its room, and what waits in it."""

import os
from collections.abc import Iterator
from pathlib import Path

from surehook.admin.spool import SpoolReader
from surehook.fusionauth.doctor.findings import Finding, fine, loses, odd
from surehook.ingest.spool.folder import SpoolFolder
from surehook.shared.plural import counted
from surehook.shared.settings import OFF, Settings

FOLDER = "SUREHOOK_SPOOL_DIR"
LIST = "`surehook spool list` shows them"


def spool_findings(settings: Settings) -> Iterator[Finding]:
    if settings.spool_dir == OFF:
        yield odd(
            "spool",
            "The spool is off.",
            "Events that come while the store is away are refused with 503, and FusionAuth does not send them again.",
            f"{FOLDER}: a folder on a disk of this machine",
        )
        return
    path = Path(settings.spool_dir)
    if not path.exists():
        yield fine("spool", f"{path} does not exist yet; the endpoint makes it, if it runs on this machine.")
        return
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        yield loses(
            "spool",
            f"{path} is not readable and writable for this user.",
            "If the endpoint runs as this user, events that come while the store is away are lost.",
            f"{FOLDER}, or the folder's owner and rights",
        )
        return
    yield from _contents(settings)
    yield from room_findings(path, SpoolFolder(path).free_bytes(), settings)


def room_findings(path: Path, free: int, settings: Settings) -> Iterator[Finding]:
    if free < settings.spool_max_bytes:
        yield odd(
            "spool-room",
            f"The disk of {path} has {free:,} bytes free, less than the spool may use.",
            "In a long outage of the store events are refused sooner than the setting promises.",
            f"{FOLDER}: a larger disk, or a smaller SUREHOOK_SPOOL_MAX_BYTES",
        )


def _contents(settings: Settings) -> Iterator[Finding]:
    found = SpoolReader(settings).summary()
    if found.set_aside:
        yield loses(
            "spool-damaged",
            f"Damaged files were set aside in the spool, such as {found.set_aside[0]}.",
            "Events in them were answered 202 and never reached the store.",
            "restore them from the files with sqlite3, then delete these",
        )
    if found.unreadable:
        yield odd(
            "spool-unreadable",
            f"Files of the spool cannot be read, such as {found.unreadable[0]}.",
            "The events in them were not counted here.",
            "run `surehook doctor` as the endpoint's user",
        )
    if found.refused:
        means = "Answered 202, and not run."
        yield odd(
            "spool-refused",
            f"The store refuses {counted(found.refused, 'spooled event', 'spooled events')}.",
            means,
            LIST,
        )
    if found.left:
        yield odd(
            "spool-left",
            f"Processes that have ended left {counted(found.left, 'event', 'events')} in the spool.",
            "Such events run when an endpoint starts on this machine again.",
            "start `surehook ingest`, or run `surehook spool flush`",
        )
    if found.elsewhere:
        yield odd(
            "spool-elsewhere",
            f"{counted(found.elsewhere, 'spooled event is', 'spooled events are')} for another store "
            f"({', '.join(found.other_stores)}).",
            "This Surehook does not forward them.",
            "start the Surehook of that store; if the store has moved, run `surehook spool flush --any-store`",
        )
    if waiting := found.events - found.left - found.refused:
        means = "Handlers run when the store is back; until then they are late."
        yield odd("spool-waiting", f"{counted(waiting, 'event waits', 'events wait')} in the spool.", means, LIST)
    if not found.events and not found.set_aside and not found.unreadable:
        yield fine("spool", f"Nothing waits in {settings.spool_dir}.")
