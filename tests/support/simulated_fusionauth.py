"""A simulated installation for tests, and clients of its API."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import UUID

import httpx

from surehook.fusionauth.sample_parts import TENANT_ID
from surehook.fusionauth.simulator.instance import Instance
from surehook.fusionauth.simulator.quirks import Quirks, Version
from surehook.fusionauth.simulator.server import ApiServer

NOW = 1_790_000_000_000
GLOBAL_KEY = "a-key-of-the-whole-installation"
TENANT_KEY = "a-key-of-one-tenant"


def a_webhook(**changes: Any) -> dict[str, Any]:
    types = {"user.create": True, "user.create.complete": True, "event-log.create": True}
    basics = {"url": "http://127.0.0.1:9/hook", "connectTimeout": 1000, "readTimeout": 2000}
    return {**basics, "eventsEnabled": types, "global": True, **changes}


def a_tenant(setting: str = "None", **changes: Any) -> dict[str, Any]:
    types = ("user.create", "user.create.complete")
    events = {name: {"enabled": True, "transactionType": setting} for name in types}
    return {"name": "Orchard", "eventConfiguration": {"events": events}, **changes}


def an_installation(version: str = "1.69.0", quirks: Quirks | None = None, **more: Any) -> Instance:
    instance = Instance(version=Version(version), quirks=quirks or Quirks(), now_ms=lambda: NOW, **more)
    instance.add_api_key(GLOBAL_KEY)
    instance.add_api_key(TENANT_KEY, TENANT_ID)
    instance.save_tenant(a_tenant(), TENANT_ID)
    return instance


Client = Callable[..., httpx.Client]


@contextmanager
def clients() -> Iterator[Client]:
    """Opens clients of the APIs of installations."""
    with ExitStack() as stack:

        def open_client(instance: Instance, key: str | None = GLOBAL_KEY) -> httpx.Client:
            server = stack.enter_context(ApiServer(instance))
            headers = {} if key is None else {"Authorization": key}
            return stack.enter_context(httpx.Client(base_url=server.url, headers=headers, trust_env=False))

        yield open_client


def an_event(number: int = 1, event_type: str = "user.create", tenant: str | None = TENANT_ID) -> dict[str, Any]:
    event = {"id": str(UUID(int=number)), "type": event_type, "createInstant": NOW, "user": {"email": f"u{number}@x.y"}}
    return event | ({"tenantId": tenant} if tenant else {})
