"""One running simulation: an installation, its population, its webhook at our endpoint, its API and page."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Self

from surehook.fusionauth.own_endpoint import tls_trust
from surehook.fusionauth.sample_parts import APPLICATION_ID, TENANT_ID
from surehook.fusionauth.simulator.delivery import Deliverer
from surehook.fusionauth.simulator.disturbance import Disturbance
from surehook.fusionauth.simulator.http_client import Fault
from surehook.fusionauth.simulator.instance import Clock, Instance
from surehook.fusionauth.simulator.operations import Tally, run
from surehook.fusionauth.simulator.own_webhook import add_other_webhook, connect, rotate_key, set_transactions
from surehook.fusionauth.simulator.page import Page
from surehook.fusionauth.simulator.population import Operation, Population
from surehook.fusionauth.simulator.scenario import Scenario, Step
from surehook.fusionauth.simulator.server import ApiServer
from surehook.shared.settings import Settings

# Bodies in the event log; as Python objects they take several times as much.
MOST_LOGGED_BYTES = 128 * 1024 * 1024
RESTARTED = ("user.update", "user.password.update")


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
    ) -> None:
        webhook = connect(instance, settings, url=url, setting=setting)
        trust = tls_trust(settings, is_own=url is None)
        self.target: str = webhook["url"]
        self.tally = Tally()
        self.population = Population(seed, TENANT_ID, APPLICATION_ID, instance.now_ms)
        self._seed, self._webhook_id, self._instance = seed, webhook["id"], instance
        instance.log.max_bytes = MOST_LOGGED_BYTES
        page = Page()
        self._server = ApiServer(instance, page=page, host=host, port=port)
        self.deliverer = Deliverer(instance, on_attempt=page.record, tls=None if isinstance(trust, bool) else trust)
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
        """Runs operations, `rate` events a second, until `limit` more were fired or the caller stops reading."""
        started_at, before = time.monotonic(), self.tally.events
        for operation in self.population.operations():
            fired = self.tally.events - before
            if limit is not None and fired >= limit:
                return
            early = started_at + fired / rate - time.monotonic()
            if early > 0:
                sleep(early)
            run(operation, self.deliverer, self.tally)
            yield operation

    def prepare(self, scenario: Scenario) -> None:
        """Does what a scenario says of the installation as a whole."""
        set_transactions(self._instance, scenario.transactions)
        webhook = {**self._instance.webhooks[self._webhook_id], "readTimeout": scenario.read_timeout}
        self._instance.save_webhook(webhook, self._webhook_id)
        for url in scenario.other_webhooks:
            add_other_webhook(self._instance, url)

    def play(self, number: int, step: Step, *, rate: float) -> Iterator[Operation]:
        """Runs one step of a scenario."""
        if step.clock_hours is not None and isinstance(self._instance.now_ms, Clock):
            self._instance.now_ms.hours = step.clock_hours
        if step.transactions:
            set_transactions(self._instance, step.transactions)
        if step.log is not None:
            self._instance.configure({"webhookEventLogConfiguration": {"enabled": step.log}})
        if step.rotate_key:
            rotate_key(self._instance, self._webhook_id)
        disturbance = Disturbance(
            self._seed * 1000 + number,
            {Fault[name.upper()]: share for name, share in step.faults.items()},
            **step.odd.model_dump(),
        )
        self.deliverer.fault_of, self.deliverer.sent_as = disturbance.fault_of, disturbance.sent_as
        if step.restart:
            self._restart()
        if step.import_users:
            operation = self.population.import_of(step.import_users)
            run(operation, self.deliverer, self.tally)
            yield operation
        yield from self.run(rate=rate, limit=step.events)

    def _restart(self) -> None:
        """FusionAuth stops in the middle of two operations: they are in its log, without a result."""
        for user in list(self.population.users.values())[:1]:
            for name in RESTARTED:
                self.deliverer.interrupt(self.population.event(name, user=user))
