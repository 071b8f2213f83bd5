"""Stops the processes of a supervisor: asks them, kills them after the grace period, and gives back their claims."""

import logging
import time
from collections.abc import Callable

from surehook.workers.supervisor.child import Child
from surehook.workers.supervisor.own_claims import OwnClaims

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1


def stop_all(children: list[Child], claims: OwnClaims, grace_seconds: float, is_urgent: Callable[[], bool]) -> None:
    """Returns when all have ended; `is_urgent` ends the grace period."""
    log.info("worker is stopping, running handlers may finish", extra={"grace_seconds": grace_seconds})
    for child in children:
        child.request_stop()
        if not child.read_plan().is_known:
            child.kill()  # it imports the handler modules, and has taken no events
    deadline = time.monotonic() + grace_seconds
    running, not_given_back = children, list[Child]()
    while running and time.monotonic() < deadline and not is_urgent():
        claims.renew_for_stalled(running)
        time.sleep(POLL_SECONDS)
        running, ended = _ended(running)
        if not claims.give_back(ended):
            not_given_back += ended
    for child in running:
        log.warning("worker process killed after the grace period", extra={"queue": child.queue})
        child.kill()
    claims.give_back(claims.unreported)
    claims.give_back(not_given_back + _ended(running)[1])


def _ended(children: list[Child]) -> tuple[list[Child], list[Child]]:
    """Returns those that still run, and those that have ended and left claims."""
    running = [child for child in children if child.process.poll() is None]
    return running, [child for child in children if child not in running and not child.has_ended_cleanly]
