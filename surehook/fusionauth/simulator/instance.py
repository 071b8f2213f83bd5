"""The records and the clock of a simulated installation of FusionAuth. Its methods may be called from any thread."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import RLock
from typing import Any
from uuid import uuid4

from surehook.fusionauth.simulator.event_log import EventLog
from surehook.fusionauth.simulator.quirks import Quirks, Version
from surehook.fusionauth.simulator.records import Json, checked_webhook, merged, normalised_tenant
from surehook.fusionauth.simulator.signing_keys import SimulatedKey, generate_key
from surehook.shared.event_types import EVENT_TYPES

DEFAULT_RETENTION_DAYS = 30  # FACTS §10


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of the API; with a tenant it is for that tenant alone."""

    key: str
    tenant_id: str | None = None


def system_clock() -> int:
    return int(time.time() * 1000)


@dataclass
class Clock:
    """A clock that goes wrong by some hours."""

    hours: float = 0.0

    def __call__(self) -> int:
        return system_clock() + int(self.hours * 3_600_000)


@dataclass
class Instance:
    """An installation: its records as the API shows them, by id.

    `now_ms` is its clock, in epoch milliseconds, which may differ from the receiver's.
    """

    version: Version = field(default_factory=Version)
    quirks: Quirks = field(default_factory=Quirks)
    now_ms: Callable[[], int] = system_clock
    page_limit: Callable[[int], int] = lambda asked: asked
    tenants: dict[str, Json] = field(default_factory=dict)
    webhooks: dict[str, Json] = field(default_factory=dict)
    keys: dict[str, SimulatedKey] = field(default_factory=dict)
    api_keys: dict[str, ApiKey] = field(default_factory=dict)
    integrations: Json = field(default_factory=lambda: {"cleanspeak": {"enabled": False}, "kafka": {"enabled": False}})

    def __post_init__(self) -> None:
        self.lock = RLock()
        self.log = EventLog(version=self.version, page_limit=self.page_limit)
        retention = {"enabled": True, "numberOfDaysToRetain": DEFAULT_RETENTION_DAYS}
        self.system_configuration: Json = {
            "data": {},
            "reportTimezone": "Etc/UTC",
            "webhookEventLogConfiguration": {"enabled": self.quirks.is_log_enabled, "delete": retention},
        }

    @property
    def is_logging(self) -> bool:
        return self.version.has_event_log and bool(
            self.system_configuration["webhookEventLogConfiguration"].get("enabled")
        )

    def add_api_key(self, key: str, tenant_id: str | None = None) -> ApiKey:
        with self.lock:
            self.api_keys[key] = ApiKey(key, tenant_id)
            return self.api_keys[key]

    def add_key(
        self, algorithm: str, *, name: str = "", secret: str | None = None, key_id: str | None = None
    ) -> SimulatedKey:
        """Generates or imports a key.

        Raises:
            ValueError: the algorithm is unknown, or has no secret.
        """
        key = generate_key(algorithm, now_ms=self.now_ms(), name=name, secret=secret, key_id=key_id)
        with self.lock:
            self.keys[key.id] = key
        return key

    def save_tenant(self, given: Mapping[str, Any], tenant_id: str | None = None) -> Json:
        """Creates or replaces a tenant.

        Raises:
            InvalidRequest: an event type or a transaction setting is unknown.
        """
        with self.lock:
            saved = self._stamped(normalised_tenant(given), tenant_id, self.tenants)
            self.tenants[saved["id"]] = saved
            return saved

    def save_webhook(self, given: Mapping[str, Any], webhook_id: str | None = None) -> Json:
        """Creates or replaces a webhook.

        Raises:
            InvalidRequest: a field is missing or odd.
        """
        with self.lock:
            checked = checked_webhook(given, tenants=self.tenants, keys=self.keys)
            saved = self._stamped(checked, webhook_id, self.webhooks)
            self.webhooks[saved["id"]] = saved
            return saved

    def configure(self, change: Mapping[str, Any]) -> Json:
        """Changes the system configuration."""
        with self.lock:
            self.system_configuration = merged(self.system_configuration, change)
            return self.system_configuration

    def _stamped(self, record: Json, record_id: str | None, existing: Mapping[str, Json]) -> Json:
        now = self.now_ms()
        old = existing.get(record_id or "")
        born = old["insertInstant"] if old else now
        return {**record, "id": record_id or str(uuid4()), "insertInstant": born, "lastUpdateInstant": now}

    def receivers(self, event_type: str, tenant_id: str | None) -> list[Json]:
        """Returns the webhooks that get an event: three switches must agree (FACTS §8)."""
        with self.lock:
            wanting = [hook for hook in self.webhooks.values() if hook["eventsEnabled"].get(event_type)]
            is_of_instance = EVENT_TYPES[event_type].scope == "instance"
            if is_of_instance and (tenant_id is None or not self.version.has_tenant_audit_logs):
                return wanting
            if not is_of_instance and not self._setting(event_type, tenant_id).get("enabled"):
                return []
            return [hook for hook in wanting if hook["global"] or tenant_id in hook["tenantIds"]]

    def transaction_type(self, event_type: str, tenant_id: str | None) -> str:
        """Returns the tenant's transaction setting for a type; None for types that are not transactional."""
        with self.lock:
            return str(self._setting(event_type, tenant_id).get("transactionType") or "None")

    def _setting(self, event_type: str, tenant_id: str | None) -> Mapping[str, Any]:
        tenant = self.tenants.get(tenant_id or "", {})
        found: Mapping[str, Any] = tenant.get("eventConfiguration", {}).get("events", {}).get(event_type, {})
        return found

    def signing_key(self, webhook: Json) -> SimulatedKey | None:
        """Returns the key that a webhook's requests are signed with."""
        signature = webhook["signatureConfiguration"]
        with self.lock:
            return self.keys.get(str(signature.get("signingKeyId"))) if signature.get("enabled") else None

    def delete_old_log_entries(self) -> int:
        """Applies the retention of the event log, and returns how many entries it deleted."""
        delete = self.system_configuration["webhookEventLogConfiguration"].get("delete") or {}
        if not delete.get("enabled"):
            return 0
        return self.log.delete_older_than(int(delete["numberOfDaysToRetain"]), now_ms=self.now_ms())
