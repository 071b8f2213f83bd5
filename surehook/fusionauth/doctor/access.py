"""Reads once what FusionAuth has configured for webhooks, and checks the installation as a whole."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from surehook.fusionauth.client import FusionAuthClient
from surehook.fusionauth.doctor.findings import Finding, fine, loses, odd
from surehook.fusionauth.simulator.quirks import Version
from surehook.fusionauth.transport import KeyRefused
from surehook.fusionauth.webhooks import ours_among
from surehook.shared.plural import counted
from surehook.shared.settings import Settings

Json = Mapping[str, Any]

# Signatures came with 1.48.0, the event log with 1.53.0, its retention with 1.57.0 (FACTS §2 and §10).
SIGNS_FROM, LOGS_FROM = "1.48.0", "1.53.0"
SHORT_DAYS = 7
INTEGRATION = "FusionAuth: Settings > Integrations > Kafka"
API_KEYS = "FusionAuth: Settings > API Keys: a key without a tenant, with the endpoints in docs/fusionauth.md"
READ_BY_THE_DOCTOR_ALONE = ("/api/key", "/api/integration")
SYSTEM_LOGS = "FusionAuth: Settings > System > Logs: Webhook event log"


@dataclass(frozen=True, slots=True)
class Installation:
    """FusionAuth's records. Webhooks hold headers and passwords in clear: print neither."""

    version: str
    webhooks: tuple[Json, ...]
    ours: tuple[Json, ...]
    tenants: Mapping[str, Json]
    keys: Mapping[str, Json]
    configuration: Json
    integrations: Json

    def is_at_least(self, version: str) -> bool:
        try:
            return Version(self.version).is_at_least(version)
        except ValueError:
            return True  # a build with a name of its own

    def tenant_name(self, tenant_id: str) -> str:
        return str((self.tenants.get(tenant_id) or {}).get("name") or tenant_id)


def read_installation(client: FusionAuthClient, settings: Settings) -> Installation:
    """
    Raises:
        FusionAuthError: FusionAuth cannot be asked, or the key may not ask.
    """
    webhooks = client.webhooks()
    return Installation(
        version=client.version(),
        webhooks=tuple(webhooks),
        ours=tuple(ours_among(webhooks, settings)),
        tenants={str(tenant.get("id")): tenant for tenant in client.tenants()},
        keys={str(key.get("id")): key for key in client.keys()},  # noqa: SIM118 - no dictionary
        configuration=client.system_configuration(),
        integrations=client.integrations(),
    )


def installation_findings(found: Installation) -> Iterator[Finding]:
    yield fine("fusionauth", f"FusionAuth {found.version} answers, and the API key is a global one.")
    if not found.is_at_least(SIGNS_FROM):
        means = "Its deliveries can be forged by all who see the header once."
        yield odd("fusionauth-version", f"FusionAuth before {SIGNS_FROM} does not sign.", means, "an upgrade")
    yield from _event_log(found)
    if (found.integrations.get("kafka") or {}).get("enabled"):
        yield odd(
            "kafka",
            "FusionAuth's Kafka integration is on.",
            "It is no safety net: a topic that cannot be written has stopped logins (fusionauth-issues 2476).",
            INTEGRATION,
        )


def refused_key(exc: KeyRefused) -> Finding:
    """Judges an API key that is not enough: what `reconcile` reads counts more than what only the doctor reads."""
    if exc.path in READ_BY_THE_DOCTOR_ALONE:
        means = "The rest of this group was not checked."
        return odd("api-key", f"{exc}.", means, API_KEYS)
    return loses(
        "api-key",
        f"{exc}.",
        "Events that are missed while this receiver is down cannot be found. The rest of this group was not checked.",
        API_KEYS,
    )


def _event_log(found: Installation) -> Iterator[Finding]:
    if not found.is_at_least(LOGS_FROM):
        means = "Events that are missed while this receiver is down cannot be fetched later."
        yield loses("event-log", f"FusionAuth before {LOGS_FROM} has no Webhook Event Log.", means, "an upgrade")
        return
    log = found.configuration.get("webhookEventLogConfiguration") or {}
    if not log.get("enabled", True):
        yield loses(
            "event-log",
            "The Webhook Event Log is off.",
            "Events that are missed while this receiver is down cannot be fetched later.",
            f"{SYSTEM_LOGS}: Enabled",
        )
        return
    delete = log.get("delete") or {}
    days = int(delete.get("numberOfDaysToRetain") or 0)
    if delete.get("enabled") and days < SHORT_DAYS:
        means = "A longer outage, or one that is noticed later, costs the events of its beginning."
        yield odd(
            "event-log",
            f"The Webhook Event Log is kept for {counted(days, 'day', 'days')}.",
            means,
            f"{SYSTEM_LOGS}: Delete",
        )
        return
    kept = (
        f"for {counted(days, 'day', 'days')}"
        if delete.get("enabled")
        else "for ever, which slows FusionAuth down one day"
    )
    yield fine("event-log", f"The Webhook Event Log is on and kept {kept}.")
