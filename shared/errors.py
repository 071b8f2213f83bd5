"""Every error of ours, in one tree.

SurehookError
├── Misconfigured           a setting, a handler or the surroundings stop us from starting (exit status 2)
├── StoreError
│   ├── StoreUnavailable    the store cannot be reached, or does not answer in time
│   ├── NotDurable          the store answers, but would lose what we acknowledge
│   ├── StoreFull           the store is out of memory or of disk
│   └── BacklogFull         as many events are open as MAX_BACKLOG allows
├── AuthenticationFailed    a delivery does not prove itself
├── MalformedBody           a delivery's body is no event
├── KeyMissing              a stored body is encrypted with a key that is not configured here
├── BodyDamaged             a stored body does not open with its own key
└── NotFound                what was asked for is not (or no longer) there (exit status 3)
"""


class SurehookError(Exception):
    """Something went wrong in Surehook."""


class Misconfigured(SurehookError):
    """A setting, a handler or the surroundings stop us from starting."""


class StoreError(SurehookError):
    """The store cannot do what we need of it."""


class StoreUnavailable(StoreError):
    """The store cannot be reached, or does not answer in time."""


class NotDurable(StoreError):
    """The store answers, but would lose what we acknowledge."""


class StoreFull(StoreError):
    """The store is out of memory or of disk."""


class BacklogFull(StoreError):
    """As many events are open as MAX_BACKLOG allows."""


class AuthenticationFailed(SurehookError):
    """A delivery does not prove itself; the message is a reason for our own metrics, never for the sender."""


class MalformedBody(SurehookError):
    """A delivery's body is no event; the message says why and holds nothing of the body."""


class KeyMissing(SurehookError):
    """A stored body is encrypted with a key that is not configured here; `key_id` is that key's fingerprint."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"SUREHOOK_ENCRYPTION_KEYS lacks the key with the fingerprint {key_id}")
        self.key_id = key_id


class BodyDamaged(SurehookError):
    """A stored body does not open with its own key."""


class NotFound(SurehookError):
    """What was asked for is not, or no longer, there."""
