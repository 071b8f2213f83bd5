"""One running simulation: an installation, its population, its webhook at our endpoint, its API and page."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Self

from surehook.fusionauth.own_endpoint import tls_trust
from surehook.fusionauth.sample_parts import APPLICATION_ID, TENANT_ID
from surehook.fusionauth.simulator.delivery import Deliverer, FaultPlan, no_faults
from surehook.fusionauth.simulator.instance import Instance
from surehook.fusionauth.simulator.operations import Tally, run
from surehook.fusionauth.simulator.own_webhook import connect
from surehook.fusionauth.simulator.page import Page
from surehook.fusionauth.simulator.population import Operation, Population
from surehook.fusionauth.simulator.server import ApiServer
from surehook.shared.settings import Settings


class Simulation:
    """`with` starts the API and ends every connection; `run` does one operation after the other."""

    def __init__(
        self,
        instance: Instance,
        settings: Settings,
        *,
        seed: int,
        url: str | None = None,
        setting: str = "None",
        host: str = "127.0.0.1",
        port: int = 0,
        fault_of: FaultPlan = no_faults,
    ) -> None:
        webhook = connect(instance, settings, url=url, setting=setting)
        trust = tls_trust(settings, is_own=url is None)
        self.target: str = webhook["url"]
        self.tally = Tally()
        page = Page()
        self._server = ApiServer(instance, page=page, host=host, port=port)
        self.deliverer = Deliverer(
            instance, fault_of=fault_of, on_attempt=page.record, tls=None if isinstance(trust, bool) else trust
        )
        self.population = Population(seed, TENANT_ID, APPLICATION_ID, instance.now_ms)
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        return self._server.url

    def __enter__(self) -> Self:
        self._stack.callback(self.deliverer.close)
        self._stack.enter_context(self._server)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(
        self, *, rate: float, limit: int | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> Iterator[Operation]:
        """Runs operations, `rate` events a second, until `limit` events were fired or the caller stops reading."""
        started_at = time.monotonic()
        for operation in self.population.operations():
            if limit is not None and self.tally.events >= limit:
                return
            early = started_at + self.tally.events / rate - time.monotonic()
            if early > 0:
                sleep(early)
            run(operation, self.deliverer, self.tally)
            yield operation
