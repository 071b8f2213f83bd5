"""One worker process's conveyor and handler threads, inside of the test's process."""

from pathlib import Path
from typing import Any

import redis

from shared.transactional import TransactionalTypes
from shared.vault import Vault
from tests.support.house import wait_until
from workers import registry as registry_module
from workers.appetite import Appetite
from workers.claims import Claims
from workers.conveyor import Conveyor
from workers.dispatch import Dispatcher
from workers.handling import Handling
from workers.lacking import LackingKey
from workers.line import Line
from workers.registry import Registry
from workers.slots import Slots
from workers.threads import HandlerThread


class Hall:
    """Closed, it has settled all that it held."""

    def __init__(
        self,
        store: redis.Redis,
        claims: Claims,
        counts: Any,
        folder: Path,
        threads: int,
        name: str,
        vault: Vault | None = None,
    ) -> None:
        self.slots = Slots.create(folder / f"{name}.slots", 64)
        self.line = Line(store, claims.trip_script())
        self.asked = 0
        vault = vault or Vault()
        lacking = LackingKey(vault, claims.key_needed, counts)
        self.conveyor = Conveyor(claims, self.line, self.slots, Appetite(threads), self._ask, lacking.holds)
        registry = Registry(registry_module.declared)
        handling = Handling(
            registry, Dispatcher(30), counts, queue="events", vault=vault, lacking=lacking, types=TransactionalTypes()
        )
        self.threads = [
            HandlerThread(f"{name}.{number}", self.conveyor.waiting, self.conveyor.inbox, handling, self.slots)
            for number in range(threads)
        ]

    def _ask(self) -> None:
        self.asked += 1

    def start(self) -> "Hall":
        for thread in (*self.threads, self.conveyor):
            thread.start()
        return self

    def close(self) -> None:
        self.conveyor.stop()
        wait_until(lambda: not self.conveyor.is_alive(), "the conveyor has stopped")
        for _ in self.threads:
            self.conveyor.waiting.put(None)
        for thread in self.threads:
            thread.join()
