"""Checks that the bodies in the store can be decrypted with the keys that are configured here."""

from collections.abc import Iterator

import redis

from surehook.fusionauth.doctor.findings import Finding, fine, loses, odd
from surehook.shared.encryption import BodyCipher
from surehook.shared.index_key import IndexKey
from surehook.shared.keys import Keys
from surehook.shared.scripts import texts
from surehook.shared.settings import Settings

CHECKED = 1000
NAME = "SUREHOOK_ENCRYPTION_KEYS"
CHANGE = f"{NAME}: add the key of that fingerprint behind the newest (docs/privacy.md)"


def encryption_findings(settings: Settings, store: redis.Redis, keys: Keys) -> Iterator[Finding]:
    """Looks at the key of the index, which has the newest key of the workers, and at the oldest open events."""
    cipher = BodyCipher(settings.encryption_keys)
    if missing := sorted(each for each in _keys_of_open_events(store, keys) if not cipher.has_key(each)):
        yield loses(
            "encryption",
            f"Open events need the encryption key {', '.join(missing)}, which {NAME} lacks here.",
            "A worker without it stops at such an event; if the key is lost, so is the event.",
            CHANGE,
        )
    elif not cipher.has_key(needed := IndexKey(store, keys, cipher).key_id()):
        yield odd(
            "encryption",
            f"The store was written with the encryption key {needed}, which {NAME} lacks here.",
            "Bodies that need it cannot be read or replayed, and no search by e-mail finds anything.",
            CHANGE,
        )
    else:
        yield fine("encryption", "The bodies of open events can be read with the settings here.")


def _keys_of_open_events(store: redis.Redis, keys: Keys) -> set[str]:
    with store.pipeline(transaction=False) as pipeline:
        for event_id in texts(store.zrange(keys.open, 0, CHECKED - 1)):
            pipeline.hget(keys.event(event_id), "key_id")
        return {each.decode() for each in pipeline.execute() if each is not None}
