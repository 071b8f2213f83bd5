"""The facts of handlers that a supervisor needs, without importing their modules.

The first worker process of a start or a reload imports the modules, writes what they declare into an *announcement*
before it takes events, and then works as the others do.
"""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

from surehook.shared.errors import Misconfigured
from surehook.workers.handlers.parameters import Parameters
from surehook.workers.handlers.registry import Handler, Registry
from surehook.workers.handlers.retry import RetryPolicy, exponential

ANNOUNCEMENT_SUFFIX = ".announcement"
MOST_DELAYS = 100  # the last one is repeated
ALL_QUEUES, ITS_QUEUE = "all", "own"
"""The queues that a process announces: all that the handlers use, or only the one that it serves."""


def queues_of(registry: Registry, queue: str | None) -> tuple[str, ...]:
    """Returns the queues to be served: all that the handlers use, or the one that was asked for.

    Raises:
        Misconfigured: no handler uses that one.
    """
    if queue is not None and queue not in registry.queues:
        raise Misconfigured(f"--queue {queue}: the handlers use {', '.join(registry.queues)}")
    return tuple(registry.queues) if queue is None else (queue,)


def announce(path: Path, registry: Registry, queues: tuple[str, ...]) -> None:
    """Writes what a supervisor needs to know of the handlers, without their code."""
    draft = path.with_suffix(".draft")
    draft.write_bytes(pickle.dumps(([_outlined(handler) for handler in registry], queues)))
    draft.rename(path)  # it is there whole, or not at all


def read_announcement(path: Path) -> tuple[Registry, tuple[str, ...]]:
    """Returns the handlers and the queues to be served."""
    handlers, queues = pickle.loads(path.read_bytes())  # noqa: S301 - written by our own process, in our folder
    return Registry(handlers), queues


def _outlined(handler: Handler) -> Handler:
    return replace(
        handler,
        function=_is_elsewhere,
        policy=_outlined_policy(handler.policy),
        parameters=Parameters(accepts_attempt=False),
        order=None,
        undo=None if handler.undo is None else _outlined(handler.undo),
    )


def _outlined_policy(policy: RetryPolicy) -> RetryPolicy:
    """The delays of a user's function are computed now: the supervisor decides on the retries of runs that it kills."""
    if policy.backoff is exponential:
        return policy
    try:
        if callable(policy.backoff):
            delays = tuple(float(policy.backoff(retry)) for retry in range(1, min(policy.retries, MOST_DELAYS) + 1))
        else:
            delays = tuple(map(float, policy.backoff))
    except BaseException:  # noqa: BLE001 - a user's function; a worker process says what is wrong when it fails there
        delays = ()
    return RetryPolicy(policy.retries, delays or exponential)


def _is_elsewhere(_: Any) -> None:
    """Stands for a function that only worker processes have."""
