"""A simulated FusionAuth whose events may not have arrived, and fixtures for `surehook reconcile` on it."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from surehook.fusionauth.sample_parts import TENANT_ID
from surehook.fusionauth.simulator.delivery import Deliverer
from surehook.fusionauth.simulator.http_client import Fault
from surehook.fusionauth.simulator.instance import Instance
from surehook.fusionauth.simulator.server import ApiServer
from surehook.shared.settings import Settings
from tests.integration.test_simulated_delivery import Receiver
from tests.support.command import Surehook, command_on
from tests.support.simulated_fusionauth import GLOBAL_KEY, TENANT_KEY, a_tenant, a_webhook, an_event

AGE_MS = 120_000
HOOK_PATH = "/fusionauth-webhook"


@pytest.fixture
def surehook(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Surehook:
    return command_on(settings, monkeypatch)


class FusionAuth:
    """A simulated installation, with one webhook that leads to a receiver of the test.

    It fires its events two minutes ago, so that all in its log is old enough to be read.
    """

    def __init__(self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
        self.age_ms = 24 * 3_600_000
        self.instance = Instance(now_ms=lambda: int(time.time() * 1000) - self.age_ms, **more)
        self.instance.add_api_key(GLOBAL_KEY)
        self.instance.add_api_key(TENANT_KEY, TENANT_ID)
        self.receiver = Receiver(202)
        stack.callback(self.receiver.server_close)
        stack.callback(self.receiver.shutdown)
        self.instance.save_tenant(a_tenant(), TENANT_ID)
        url = self.receiver.url.removesuffix("/hook") + HOOK_PATH
        self.webhook = self.instance.save_webhook(a_webhook(url=url))
        self.age_ms = 0
        self.fault: Fault | None = None
        self.deliverer = Deliverer(self.instance, fault_of=lambda event, hook: self.fault)
        stack.callback(self.deliverer.close)
        server = stack.enter_context(ApiServer(self.instance))
        monkeypatch.setenv("SUREHOOK_FUSIONAUTH_URL", server.url)
        monkeypatch.setenv("SUREHOOK_FUSIONAUTH_API_KEY", GLOBAL_KEY)

    def fire(
        self, number: int, *, fault: Fault | None = None, status: int = 202, age_ms: int = AGE_MS, **more: Any
    ) -> str:
        self.fault, self.receiver.statuses[:] = fault, [status]
        event = an_event(number) | more
        before, self.age_ms = self.age_ms, self.age_ms + age_ms
        self.deliverer.fire(event)
        self.age_ms = before
        return str(event["id"])


@pytest.fixture
def open_fusionauth(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FusionAuth]]:
    with ExitStack() as stack:
        yield lambda **more: FusionAuth(stack, monkeypatch, **more)


@pytest.fixture
def fusionauth(open_fusionauth: Callable[..., FusionAuth]) -> FusionAuth:
    return open_fusionauth()


def statement_of(surehook: Surehook, *arguments: str) -> tuple[int, dict[str, Any]]:
    status, output = surehook("reconcile", "--rate", "1000", "--json", *arguments)
    return status, json.loads(output.splitlines()[-1])
