"""Says what FusionAuth must have, according to the settings and the handlers."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from surehook.fusionauth.credentials import accepts
from surehook.fusionauth.doctor.access import Installation
from surehook.fusionauth.doctor.events import named_types, wanted_types
from surehook.fusionauth.sender import fixed_headers
from surehook.shared.auth_settings import LOOPBACK
from surehook.shared.errors import Misconfigured
from surehook.shared.event_types import EVENT_TYPES
from surehook.shared.settings import Settings
from surehook.shared.transactional_events import TransactionalTypes, transactional_types
from surehook.workers.handlers.registry import Registry

# The first that signs; and before it, a tenant that is changed in part loses its webhooks (FACTS §9).
OLDEST = "1.48.0"
# A failed delivery causes another event-log.create; `test` belongs to Kafka.
UNFIT_FOR_PATTERNS = {"event-log.create", "test"}


@dataclass(frozen=True, slots=True)
class Goal:
    """`tenant_ids` is empty for a global webhook."""

    url: str
    types: frozenset[str]
    listed: TransactionalTypes
    tenant_ids: tuple[str, ...]
    connect_ms: int = 1000
    read_ms: int = 2000


def goal_of(
    settings: Settings, registry: Registry, found: Installation, *, url: str, tenant_ids: tuple[str, ...]
) -> Goal:
    """
    Raises:
        Misconfigured: FusionAuth is too old, or a tenant, a URL or our credentials cannot be used.
    """
    if not found.is_at_least(OLDEST):
        raise Misconfigured(
            f"FusionAuth {found.version} loses webhooks of tenants that are changed in part: set it up by hand as the "
            f"README says, or upgrade it to {OLDEST}"
        )
    if unknown := [each for each in tenant_ids if each not in found.tenants]:
        raise Misconfigured(
            f"--tenant {unknown[0]}: FusionAuth has no such tenant; there are {', '.join(found.tenants)}"
        )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise Misconfigured("--url: expected an address such as https://hooks.example.com/fusionauth-webhook")
    if not (settings.requires_authentication or settings.allow_unauthenticated):
        raise Misconfigured(
            "SUREHOOK_API_KEYS is not set: start `surehook dev` once, which makes a key, or set a long random one"
        )
    if parts.path != settings.webhook_path:
        raise Misconfigured(
            f"--url: its path is {parts.path or '/'}, and SUREHOOK_WEBHOOK_PATH={settings.webhook_path}"
        )
    wanted = named_types(registry) | (wanted_types(registry) - UNFIT_FOR_PATTERNS)
    types = frozenset(name for name in wanted if found.is_at_least(EVENT_TYPES[name].since or "1.0.0"))
    return Goal(url, types, transactional_types(settings.transactional_events), tenant_ids)


def headers_of(settings: Settings, given: Mapping[str, str]) -> dict[str, str]:
    """Returns the headers that the webhook needs: those it has, and ours where the endpoint would refuse it."""
    if accepts(settings, {"headers": dict(given)}):
        return dict(given)
    ours = fixed_headers(settings)
    names = {name.lower() for name in ours}
    return {name: value for name, value in given.items() if name.lower() not in names} | ours


def publishes_keys_safely(url: str) -> bool:
    """Says whether FusionAuth's published keys can be fetched without an attacker between."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in LOOPBACK
