"""Our webhooks among FusionAuth's: which lead to our endpoint, and which events they are sent (FACTS §8)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from surehook.fusionauth.credentials import accepts
from surehook.shared.event_types import EVENT_TYPES
from surehook.shared.settings import Settings

Json = Mapping[str, Any]


def ours_among(webhooks: Sequence[Json], settings: Settings) -> list[Json]:
    """Returns the webhooks that lead to our endpoint.

    Those whose URL has our path, with or without a slash too many: such a webhook is a mistake of ours. If several
    have, those whose credentials the endpoint accepts. FusionAuth knows our address by a name of its own, so the host
    is not compared.
    """
    same_path = [hook for hook in webhooks if _path(str(hook.get("url"))) == settings.webhook_path.rstrip("/")]
    if len(same_path) < 2:  # noqa: PLR2004 - one, or none
        return same_path
    return [hook for hook in same_path if accepts(settings, hook)] or same_path


def _path(url: str) -> str:
    return re.sub("/+", "/", urlsplit(url).path).rstrip("/")


def receives(webhook: Json, tenants: Mapping[str, Json], event_type: str, tenant_id: str) -> bool:
    """Says whether a webhook is sent an event: its own switch, the tenant's, and its assignment must agree."""
    if not (webhook.get("eventsEnabled") or {}).get(event_type):
        return False
    known = EVENT_TYPES.get(event_type)
    if known is not None and known.scope == "instance" and not tenant_id:
        return True
    is_assigned = bool(webhook.get("global")) or tenant_id in (webhook.get("tenantIds") or ())
    is_of_instance = known is not None and known.scope == "instance"
    return is_assigned and (is_of_instance or tenant_enables(tenants.get(tenant_id) or {}, event_type))


def tenant_enables(tenant: Json, event_type: str) -> bool:
    return bool((tenant_events(tenant).get(event_type) or {}).get("enabled"))


def tenant_events(tenant: Json) -> Json:
    """Returns a tenant's switch and transaction setting of each type."""
    found: Json = (tenant.get("eventConfiguration") or {}).get("events") or {}
    return found
