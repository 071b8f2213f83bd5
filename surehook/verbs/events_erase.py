"""`surehook events erase`: erases all data of events or of a user, except the ids of the events."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import click
from redis.exceptions import RedisError

from surehook.admin.audit import masked_user
from surehook.admin.erasure import Erasure
from surehook.admin.event_records import WHOLE_ID
from surehook.admin.portions import AT_ONCE
from surehook.admin.spool_erasure import SpoolErasure
from surehook.shared.encryption import BodyCipher
from surehook.shared.errors import NotFound, SurehookError
from surehook.shared.keys import Keys
from surehook.shared.settings import load_settings
from surehook.shared.store import unavailable
from surehook.verbs.audit import note_here
from surehook.verbs.output import echo, echo_json
from surehook.verbs.progress import Progress
from surehook.verbs.store_client import open_store

# The second pass finds events that were accepted during the first.
MOST_PASSES = 5
SHOW_MENTIONS = 20


@dataclass(slots=True)
class Report:
    """The result of an erasure, or of its dry run."""

    events: set[str] = field(default_factory=set)
    attempts: int = 0
    dead_letters: int = 0
    running: set[str] = field(default_factory=set)
    mentions: set[str] = field(default_factory=set)
    unreadable: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    spooled: set[str] = field(default_factory=set)
    """Events in this machine's spool."""
    not_searched: tuple[str, ...] = ()
    """Databases of the spool that no command can look into."""
    is_complete: bool = True
    """False if events of the user still arrived during the last pass."""


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--user", help="Every event of this user id.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, change nothing.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def erase(ids: Sequence[str], user: str | None, dry_run: bool, as_json: bool) -> None:
    """Erase events for good: bodies, attempts, dead letters. Running events are erased when their handlers finish.

    Events in this machine's spool are erased there. In the spools of other machines the bodies stay until their
    endpoints offer them to the store, which drops them; no handler runs.
    """
    chosen = [_uuid(some_id, "ID") for some_id in ids]
    if bool(chosen) == (user is not None):
        raise click.UsageError("Name ids, or a user with --user ID.")
    settings = load_settings()
    store = open_store(settings)
    if not dry_run:
        note_here("erased", *([masked_user(_uuid(user, "--user"))] if user else chosen))
    try:
        erasure = Erasure(
            store,
            Keys(settings.key_prefix),
            BodyCipher(settings.encryption_keys),
            retention_seconds=settings.retention,
        )
        spool = SpoolErasure(settings, store, BodyCipher(settings.encryption_keys))
        if user is None:
            report = _erase_each(erasure, spool, chosen, is_dry=dry_run)
        else:
            report = _erase_user(erasure, spool, _uuid(user, "--user"), is_dry=dry_run)
        report.not_searched = spool.unsearchable
    except (RedisError, OSError) as exc:
        unavailable(settings, exc)
    if as_json:
        echo_json(_facts(report, user))
    else:
        echo("\n".join(_lines(report, is_dry=dry_run)))
    if report.missing:
        raise NotFound(
            "\n".join(
                f"there is no event {each}, or it was erased before, or only its id is left; if it waits in the spool "
                "of another machine, it will not run"
                for each in report.missing
            )
        )
    if not report.is_complete:
        raise SurehookError(f"events of user {user} still arrive: run the command again when they have stopped")
    if report.not_searched:
        raise SurehookError(
            f"not searched, because damaged or not readable: {', '.join(report.not_searched)}. No handler gets events "
            "from there unless you restore them: delete these files, or look into them with sqlite3"
        )


def _uuid(given: str, what: str) -> str:
    if not WHOLE_ID.fullmatch(given.lower()):
        # An erasure cannot be undone, so the beginning of an id is not enough.
        raise click.UsageError(f"{what} must be a whole UUID, not {given!r}.")
    return given.lower()


def _erase_each(erasure: Erasure, spool: SpoolErasure, event_ids: Sequence[str], *, is_dry: bool) -> Report:
    report = Report()
    found: list[str] = []
    for event_id in dict.fromkeys(event_ids):
        is_spooled, is_stored = spool.contains(event_id), erasure.is_there(event_id)
        if is_spooled:
            report.spooled.add(event_id)
        if not is_dry and (is_spooled or not is_stored):
            spool.erase([event_id])
        if not erasure.is_there(event_id):  # asked again: it may just have been forwarded
            if is_spooled:
                continue
            report.missing.append(event_id)
            continue
        found.append(event_id)
    _erase(erasure, found, "", report, is_dry=is_dry)
    return report


def _erase_spooled(spool: SpoolErasure, user_id: str, report: Report, *, is_dry: bool) -> None:
    """Comes before the passes over the store, which then find what was just being forwarded."""
    for found in spool.scan(user_id):
        if found.is_own:
            report.spooled.add(found.event_id)
        elif found.is_mention:
            report.mentions.add(found.event_id)
        elif found.missing_key_id:
            report.unreadable[found.missing_key_id] += 1
    if not is_dry:
        spool.erase(sorted(report.spooled), user_id)


def _erase_user(erasure: Erasure, spool: SpoolErasure, user_id: str, *, is_dry: bool) -> Report:
    """Erases the open events, and then makes passes through all records until one finds only running events."""
    report = Report()
    _erase_spooled(spool, user_id, report, is_dry=is_dry)
    before = _counts(report)
    _erase(erasure, list(erasure.open_events(user_id)), user_id, report, is_dry=is_dry)
    with Progress("scanned") as progress:
        for number in range(1 if is_dry else MOST_PASSES):
            own: list[str] = []
            for found in erasure.scan(user_id, into_bodies=number == 0):
                progress.step()
                if found.is_own:
                    own.append(found.event_id)
                elif found.is_mention:
                    report.mentions.add(found.event_id)
                elif found.missing_key_id:
                    report.unreadable[found.missing_key_id] += 1
                if len(own) >= AT_ONCE:
                    _erase(erasure, own, user_id, report, is_dry=is_dry)
                    own.clear()
            _erase(erasure, own, user_id, report, is_dry=is_dry)
            if is_dry or before == _counts(report):
                return report
            before = _counts(report)
    report.is_complete = False
    return report


def _counts(report: Report) -> tuple[int, int]:
    return len(report.events), len(report.running)


def _erase(erasure: Erasure, event_ids: Sequence[str], user_id: str, report: Report, *, is_dry: bool) -> None:
    if is_dry:
        report.events.update(event_ids)
        return
    for erased in erasure.erase_many(event_ids, user_id):
        report.dead_letters += erased.dead_letters
        report.attempts += erased.attempts
        if erased.outcome == "erased":
            report.events.add(erased.event_id)
            report.running.discard(erased.event_id)
        elif erased.outcome == "running":
            report.running.add(erased.event_id)
        else:
            report.running.discard(erased.event_id)  # it was erased when its claim ended


def _lines(report: Report, *, is_dry: bool) -> Iterator[str]:
    if report.spooled:
        verb = "would be erased" if is_dry else "erased"
        yield f"{len(report.spooled)} events {verb} in this machine's spool"
    if is_dry:
        yield f"{len(report.events)} events would be erased"
    else:
        yield f"{len(report.events)} events erased, {report.attempts} attempts, {report.dead_letters} dead letters"
    if report.running:
        yield f"{len(report.running)} still running, erased when what runs ends: {' '.join(sorted(report.running))}"
    if report.mentions:
        shown = " ".join(sorted(report.mentions)[:SHOW_MENTIONS]) + " …" * (len(report.mentions) > SHOW_MENTIONS)
        yield f"{len(report.mentions)} events of other users mention this user and stay (erase them by id): {shown}"
    for key_id, count in sorted(report.unreadable.items()):
        yield f"{count} events of other users not searched: key {key_id} is not configured or cannot decrypt them"


def _facts(report: Report, user: str | None) -> dict[str, Any]:
    return {
        "user_id": user,
        "events": len(report.events),
        "spooled": len(report.spooled),
        "not_searched": list(report.not_searched),
        "attempts": report.attempts,
        "dead_letters": report.dead_letters,
        "running": sorted(report.running),
        "mentions": sorted(report.mentions),
        "unreadable": dict(report.unreadable),
    }
