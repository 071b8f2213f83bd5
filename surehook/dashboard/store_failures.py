"""The sentence of a page for which the store did not do what was asked."""

import logging

from redis.exceptions import RedisError

from surehook.shared.errors import StoreUnavailable
from surehook.shared.store_errors import Meaning, advice, fault_of

log = logging.getLogger(__name__)

PASSES = {Meaning.NO_REPLY, Meaning.BUSY, Meaning.NOT_PRIMARY}


def explain_failure(exc: RedisError | StoreUnavailable) -> tuple[int, str]:
    """Logs the failure, and returns the page's status and what the user can do about it."""
    fault = fault_of(exc) if isinstance(exc, RedisError) else None
    if fault is None or fault.meaning in PASSES:
        log.warning("store unavailable", extra={"error_type": type(exc).__name__})
        return 503, "The store does not answer. This page shows its data again as soon as the store is back."
    reason = advice(fault)
    log.warning("dashboard page failed", extra={"error_type": type(exc).__name__, "reason": reason})
    return 507 if fault.meaning is Meaning.FULL else 500, f"{reason[0].upper()}{reason[1:]}."
