"""`surehook keys`: re-encrypts stored bodies with the newest key."""

import sys
import time
from collections import Counter

import click
from redis.exceptions import RedisError

from surehook.admin.key_rotation import Result, Rotation, Step
from surehook.admin.records import PORTION
from surehook.admin.spool import SpoolReader
from surehook.shared.encryption import BodyCipher
from surehook.shared.errors import BodyDamaged, KeyMissing, Misconfigured
from surehook.shared.index_key import IndexKey
from surehook.shared.keys import Keys
from surehook.shared.settings import load_settings
from surehook.shared.store import unavailable
from surehook.verbs.audit import note_here
from surehook.verbs.output import echo
from surehook.verbs.progress import Progress
from surehook.verbs.store_client import open_store

# The second pass finds what ingest stored during the first. If a later pass still finds something, an ingest process
# encrypts with another key.
MOST_PASSES = 3


@click.group()
def keys() -> None:
    """Manage the keys that encrypt bodies."""


@keys.command()
@click.option("--dry-run", is_flag=True, help="Show what would be done, change nothing.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="At most this many a second.")
def rotate(dry_run: bool, rate: float | None) -> None:
    """Encrypt every stored body with the first of SUREHOOK_ENCRYPTION_KEYS. May be stopped, and run again."""
    settings = load_settings()
    cipher = BodyCipher(settings.encryption_keys)
    if not cipher.newest_key_id:
        raise Misconfigured("SUREHOOK_ENCRYPTION_KEYS is not set: there is no key to encrypt with")
    store = open_store(settings)
    if not dry_run:
        note_here("bodies re-encrypted", f"with key {cipher.newest_key_id}")
    try:
        passes = _rotate(Rotation(store, Keys(settings.key_prefix), cipher), rate, is_dry=dry_run)
        is_index_fine = dry_run or _rotate_index_key(IndexKey(store, Keys(settings.key_prefix), cipher))
    except (RedisError, OSError) as exc:
        unavailable(settings, exc)
    is_fine = _report(passes, cipher, is_dry=dry_run)
    is_spool_fine = _report_spooled(SpoolReader(settings), cipher)
    if not (is_fine and is_spool_fine and is_index_fine):
        sys.exit(1)


def _rotate_index_key(key: IndexKey) -> bool:
    """Says so and returns False if it cannot be read: then events are not found by e-mail."""
    try:
        key.reencrypt()
    except (KeyMissing, BodyDamaged) as exc:
        echo(f"the key that hashes e-mail addresses for searches is unreadable: {exc}")
        return False
    return True


PassCounts = Counter[tuple[Result, str]]


def _rotate(rotation: Rotation, rate: float | None, *, is_dry: bool) -> list[PassCounts]:
    """Makes passes until one finds nothing to encrypt."""
    passes: list[PassCounts] = []
    with Progress("scanned") as progress:
        for _ in range(1 if is_dry else MOST_PASSES):
            counts: PassCounts = Counter()
            for step in rotation.steps(is_dry=is_dry, portion=PORTION if rate is None else 1):
                counts[step.result, step.key_id] += 1
                progress.step()
                _keep_to(rate, step, is_dry=is_dry)
            passes.append(counts)
            if not _count(counts, Result.ENCRYPTED):
                break
    return passes


def _keep_to(rate: float | None, step: Step, *, is_dry: bool) -> None:
    if rate is not None and step.result is Result.ENCRYPTED and not is_dry:
        time.sleep(1 / rate)


def _report(passes: list[PassCounts], cipher: BodyCipher, *, is_dry: bool) -> bool:
    """Returns whether everything is under the newest key, or will be."""
    first, last = passes[0], passes[-1]
    encrypted = sum(_count(counts, Result.ENCRYPTED) for counts in passes)
    verb = "would be encrypted" if is_dry else "encrypted"
    echo(f"{encrypted} {verb} with key {cipher.newest_key_id}, {_count(first, Result.FINE)} need no change")
    for key_id, count in sorted(_by_key(last, Result.KEY_MISSING).items()):
        echo(f"{count} unreadable: SUREHOOK_ENCRYPTION_KEYS lacks the key {key_id}")
    for key_id, count in sorted(_by_key(last, Result.DAMAGED).items()):
        echo(f"{count} damaged: key {key_id} cannot decrypt them")
    still_coming = _by_key(last, Result.ENCRYPTED) if len(passes) == MOST_PASSES else {}
    for key_id, count in sorted(still_coming.items()):
        how = f"with key {key_id}" if key_id else "unencrypted"
        echo(
            f"{count} stored since then {how}: an ingest process does not have key {cipher.newest_key_id} as its first"
        )
    return not still_coming and not _count(last, Result.KEY_MISSING) and not _count(last, Result.DAMAGED)


def _report_spooled(spool: SpoolReader, cipher: BodyCipher) -> bool:
    """Returns whether all of this machine's spooled events are under the newest key."""
    old = {key_id: count for key_id, count in spool.keys().items() if key_id != cipher.newest_key_id}
    for key_id, count in sorted(old.items()):
        if key_id and not cipher.has_key(key_id):
            echo(f"{count} spooled events unreadable: SUREHOOK_ENCRYPTION_KEYS lacks the key {key_id}")
            continue
        how = (
            f"with key {key_id}: keep it until they are forwarded" if key_id else "unencrypted until they are forwarded"
        )
        echo(f"{count} spooled events on this machine {how} (surehook spool list)")
    return not old


def _count(counts: PassCounts, result: Result) -> int:
    return sum(_by_key(counts, result).values())


def _by_key(counts: PassCounts, result: Result) -> dict[str, int]:
    return {key_id: count for (found, key_id), count in counts.items() if found is result}
