"""Surehook's errors, in one tree.

SurehookError
├── Misconfigured           a setting, a handler or the environment prevents a start (exit status 2)
│   └── IncompatibleStore   the store has a format that this version cannot read
├── StoreError
│   ├── StoreUnavailable    the store cannot be reached, or does not answer in time
│   │   └── StoreRefused    the store answers, but refuses what Surehook needs until a person changes something
│   ├── NotDurable          the store answers, but would lose what we acknowledge
│   ├── StoreFull           the store is out of memory or of disk
│   ├── BacklogFull         as many events wait as MAX_BACKLOG allows
│   └── SpoolFull           neither the store nor the spool has room
├── SpoolDamaged            a database of the spool cannot be read
├── SpoolForeign            a file in the folder of the spool is no database of Surehook
├── SpoolOfAnother          a database of the spool belongs to another store, or to another version
├── AuthenticationFailed    a delivery is not authenticated
├── MalformedBody           a delivery's body is no event
├── KeyMissing              a stored body is encrypted with a key that is not configured here
├── BodyDamaged             a stored body cannot be decrypted with its key
└── NotFound                the requested object does not exist, or no longer (exit status 3)
"""


class SurehookError(Exception):
    """Something went wrong in Surehook."""


class Misconfigured(SurehookError):
    """A setting, a handler or the environment prevents a start."""


class IncompatibleStore(Misconfigured):
    """The store has a format that this version cannot read."""


class StoreError(SurehookError):
    """The store cannot do what Surehook needs."""


class StoreUnavailable(StoreError):
    """The store cannot be reached, or does not respond in time."""


class StoreRefused(StoreUnavailable):
    """The store answers, but refuses what Surehook needs until a person changes something."""


class NotDurable(StoreError):
    """The store responds, but would lose acknowledged events."""


class StoreFull(StoreError):
    """The store is out of memory or of disk."""


class BacklogFull(StoreError):
    """The number of waiting events has reached MAX_BACKLOG."""


class SpoolFull(StoreError):
    """Neither the store nor the spool on the local disk has room for an event."""


class SpoolDamaged(SurehookError):
    """A database of the spool cannot be read."""


class SpoolForeign(SurehookError):
    """A file in the folder of the spool is no database of Surehook."""


class SpoolOfAnother(SurehookError):
    """A database of the spool belongs to another store, or to another version."""


class AuthenticationFailed(SurehookError):
    """A delivery is not authenticated; the message is a reason for our own metrics, never for the sender."""


class MalformedBody(SurehookError):
    """A delivery's body is no event; the message says why without quoting the body."""


class KeyMissing(SurehookError):
    """A stored body is encrypted with a key that is not configured here; `key_id` is that key's fingerprint."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"SUREHOOK_ENCRYPTION_KEYS lacks the key with the fingerprint {key_id}")
        self.key_id = key_id


class BodyDamaged(SurehookError):
    """A stored body cannot be decrypted with its key."""


class NotFound(SurehookError):
    """The requested object does not exist, or no longer."""
