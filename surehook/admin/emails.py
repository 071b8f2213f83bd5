"""E-mail addresses in filters of events: the index of closed events has only their keyed hashes."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import redis

from surehook.admin.event_records import EventFilter
from surehook.shared.encryption import BodyCipher
from surehook.shared.errors import BodyDamaged, KeyMissing, SurehookError
from surehook.shared.event_index import email_hash
from surehook.shared.index_key import IndexKey
from surehook.shared.keys import Keys


class EmailsUnreadable(SurehookError):
    """Events cannot be found by their e-mail address here."""


class Emails:
    """Hashes addresses as the index does, and compares those of open events."""

    def __init__(self, store: redis.Redis, keys: Keys, cipher: BodyCipher) -> None:
        self._index_key = IndexKey(store, keys, cipher)

    def hashed(self, wanted: EventFilter) -> EventFilter:
        """The filter without an address that can be read.

        Raises:
            EmailsUnreadable: the key of the hashes cannot be read.
        """
        if wanted.email is None:
            return wanted
        return replace(wanted, email=None, hashed_email=self._hash()(wanted.email).hex())

    def matcher(self, wanted: EventFilter) -> Callable[[str], bool]:
        """Says of an address whether a filter wants it.

        Raises:
            EmailsUnreadable: as `hashed`.
        """
        if wanted.email is not None:
            address = wanted.email.lower()
            return lambda email: email.lower() == address
        hash_of = self._hash()
        return lambda email: hash_of(email).hex() == wanted.hashed_email

    def _hash(self) -> Callable[[str], bytes]:
        try:
            return partial(email_hash, self._index_key.read())
        except (KeyMissing, BodyDamaged) as exc:
            raise EmailsUnreadable(
                f"events cannot be found by e-mail here: the key of the index cannot be read ({exc}); "
                "SUREHOOK_ENCRYPTION_KEYS must be what the workers have"
            ) from None
