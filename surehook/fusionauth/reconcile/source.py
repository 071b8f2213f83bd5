"""FusionAuth as a source of missed events: its log must be there, be kept long enough, and know our webhook."""

from collections.abc import Mapping, Sequence
from typing import Any

from surehook.fusionauth.client import FusionAuthClient
from surehook.fusionauth.reconcile.decisions import Webhooks
from surehook.fusionauth.transport import FusionAuthError
from surehook.fusionauth.webhooks import ours_among, receives
from surehook.shared.plural import counted
from surehook.shared.settings import Settings

FIRST_VERSION = (1, 53)
DAY_MS = 86_400_000
PLACE = "System, Settings, Webhook event log (systemConfiguration.webhookEventLogConfiguration)"


def require_event_log(client: FusionAuthClient) -> None:
    """
    Raises:
        FusionAuthError: this FusionAuth keeps no Webhook Event Log.
    """
    version = client.version()
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers and numbers < FIRST_VERSION:
        raise FusionAuthError(f"FusionAuth {version} has no Webhook Event Log: it needs 1.53 or newer")
    if _log_settings(client).get("enabled") is False:
        raise FusionAuthError(
            f"FusionAuth's Webhook Event Log is off, so missed events cannot be found: switch it on at {PLACE}"
        )


def problems_of(client: FusionAuthClient, start_ms: int, now_ms: int) -> list[str]:
    """Returns why the log may lack entries of a period."""
    delete = _log_settings(client).get("delete")
    if not isinstance(delete, dict) or not delete.get("enabled"):
        return []
    days = delete.get("numberOfDaysToRetain")
    if not isinstance(days, int) or start_ms >= now_ms - days * DAY_MS:
        return []
    return [
        f"FusionAuth deletes entries after {counted(days, 'day', 'days')}, and the period begins before that ({PLACE})."
    ]


def our_webhooks(client: FusionAuthClient, settings: Settings, chosen: Sequence[str]) -> Webhooks:
    """Returns our webhooks: those that were chosen by id, or else those that lead to our endpoint.

    A chosen id may be that of a webhook that was deleted: its attempts are still in the log.

    Raises:
        FusionAuthError: none leads to our endpoint.
    """
    everyone: list[Mapping[str, Any]] = [*client.webhooks()]
    hooks = [hook for hook in everyone if hook.get("id") in chosen] if chosen else ours_among(everyone, settings)
    ids = frozenset(chosen or (str(hook.get("id")) for hook in hooks))
    if not ids:
        raise FusionAuthError(
            f"no webhook of FusionAuth has a URL with the path {settings.webhook_path}: name it with --webhook ID, or "
            "let `surehook connect` create one"
        )
    tenants = {str(tenant.get("id")): tenant for tenant in client.tenants()}

    def receive(event_type: str, tenant_id: str, at_ms: int) -> bool:
        return any(_is_older(hook, at_ms) and receives(hook, tenants, event_type, tenant_id) for hook in hooks)

    return Webhooks(ids, receive)


def _is_older(webhook: Mapping[str, Any], at_ms: int) -> bool:
    created = webhook.get("insertInstant")
    return not isinstance(created, int) or created <= at_ms


def _log_settings(client: FusionAuthClient) -> Mapping[str, Any]:
    found = client.system_configuration().get("webhookEventLogConfiguration")
    return found if isinstance(found, dict) else {}
