"""An installation of FusionAuth for the doctor and `surehook connect`: sound until a test changes it."""

from typing import Any

from surehook.fusionauth.sample_parts import TENANT_ID
from surehook.fusionauth.simulator.instance import Instance
from tests.support.simulated_fusionauth import GLOBAL_KEY, NOW, a_tenant, a_webhook, an_event, an_installation

SECRET = "a-planted-key-of-the-doctor-0123456789"
URL = "http://127.0.0.1:9/fusionauth-webhook"
TYPES = {"user.create": True, "user.create.complete": True}


def ignore(event: Any) -> None:
    """A handler."""


class World:
    """An installation with a sound webhook and tenant, to be changed by a test."""

    def __init__(self) -> None:
        self.instance: Instance = an_installation()
        self.hook = a_webhook(url=URL, headers={"Authorization": SECRET}, eventsEnabled=dict(TYPES))
        self.settings: dict[str, Any] = {"api_keys": (SECRET,), "redis_url": "redis://127.0.0.1:1"}
        self.settings |= {"bind": "127.0.0.1:1", "handlers": ("json",)}
        self.api_key = GLOBAL_KEY
        self.hook_id = ""

    def save(self) -> None:
        self.hook_id = self.instance.save_webhook(self.hook)["id"]

    def sign(self, algorithm: str = "RS256", **key: Any) -> Any:
        made = self.instance.add_key(algorithm)
        made.json.update(key)
        self.hook["signatureConfiguration"] = {"enabled": True, "signingKeyId": made.id}
        return made

    def tenant(self, setting: str = "None", tenant_id: str = TENANT_ID, **events: Any) -> None:
        given = a_tenant(setting, name=tenant_id[-4:])
        given["eventConfiguration"]["events"] |= events
        self.instance.save_tenant(given, tenant_id)

    def log(self, *statuses: int, result: bool = True, took_ms: int = 5, event_type: str = "user.create") -> None:
        body = {"event": an_event(len(self.instance.log._entries) + 1, event_type)}  # noqa: SLF001 - its number
        entry = self.instance.log.add(body, b"", now_ms=NOW - 1000)
        for status in statuses:
            call = {"statusCode": status, "url": URL, "exception": ""}
            outcome = "Success" if 200 <= status < 300 else "Failure"
            times = {"startInstant": NOW - 1000, "endInstant": NOW - 1000 + took_ms}
            self.instance.log.record(
                entry,
                {"attemptResult": outcome, "webhookId": self.hook_id, "webhookCallResponse": call, "id": "a", **times},
            )
        self.instance.log.finish(entry, is_success=result, now_ms=NOW)
