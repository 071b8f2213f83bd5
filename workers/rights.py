"""Checks at a worker's start that its account may do all that workers do."""

from redis.exceptions import RedisError

from surehook.shared.errors import Misconfigured, StoreRefused
from surehook.shared.keys import Keys
from surehook.shared.rights import worker_rights
from surehook.shared.settings import Settings
from surehook.shared.store import connect
from surehook.shared.store_errors import Meaning, advice, fault_of

TIMEOUT_SECONDS = 2.0
NEEDS_A_PERSON = {Meaning.REFUSED, Meaning.UNSUITABLE}


def require_rights(settings: Settings) -> None:
    """Checks the account, if the store can be reached: a worker may start before its store.

    Raises:
        Misconfigured: names what the account may not do.
    """
    try:
        with connect(settings, timeout_seconds=TIMEOUT_SECONDS) as store:
            worker_rights(Keys(settings.key_prefix)).check(store)
    except StoreRefused as exc:
        raise Misconfigured(str(exc)) from exc
    except (RedisError, OSError) as exc:
        fault = fault_of(exc)
        if fault.meaning in NEEDS_A_PERSON:
            raise Misconfigured(f"{advice(fault)} ({fault.code})") from exc
