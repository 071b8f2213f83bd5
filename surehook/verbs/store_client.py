"""The client with which a command uses the store."""

import click
import redis

from surehook.shared.settings import Settings
from surehook.shared.store import connect, wait_for_store

TIMEOUT_SECONDS = 10.0


def open_store(settings: Settings) -> redis.Redis:
    """Connects to the store until the command ends. One that connects for each of its rounds uses `connect`.

    Raises:
        StoreUnavailable, IncompatibleStore: as `wait_for_store`.
    """
    wait_for_store(settings)
    store: redis.Redis = click.get_current_context().with_resource(connect(settings, timeout_seconds=TIMEOUT_SECONDS))
    return store
