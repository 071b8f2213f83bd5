"""Checks of FusionAuth's webhook: that it leads here, is sent to, and has credentials that we accept."""

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

from surehook.fusionauth.credentials import refusal
from surehook.fusionauth.doctor.access import Installation, Json
from surehook.fusionauth.doctor.endpoint import endpoint_findings, shown_url
from surehook.fusionauth.doctor.findings import Finding, fine, loses, odd
from surehook.fusionauth.doctor.timeouts import WebhookTimeouts
from surehook.shared.auth_settings import LOOPBACK
from surehook.shared.plural import counted
from surehook.shared.settings import Settings
from surehook.workers.handlers.registry import Registry

EDIT = "FusionAuth: Settings > Webhooks > Edit"
CONNECT = "`surehook connect`"


def webhook_findings(
    settings: Settings, found: Installation, registry: Registry | None, now: datetime
) -> Iterator[Finding]:
    if not found.ours:
        yield loses(
            "webhook",
            f"FusionAuth has {counted(len(found.webhooks), 'webhook', 'webhooks')}, and none with the path "
            f"{settings.webhook_path}.",
            "No event is sent here.",
            f"{CONNECT}, or FusionAuth: Settings > Webhooks > Add",
        )
        return
    if len(found.ours) > 1:
        yield odd(
            "webhook-twice",
            f"{len(found.ours)} webhooks lead here.",
            "Each event is sent as often, and each of them counts in a transaction.",
            "FusionAuth: Settings > Webhooks: delete all but one",
        )
    for hook in found.ours:
        yield fine("webhook", f"A webhook leads to {shown_url(str(hook.get('url')))}.")
        if urlsplit(str(hook.get("url"))).path != settings.webhook_path:
            yield loses(
                "webhook-path",
                f"The webhook's URL does not end with {settings.webhook_path} exactly: slashes count.",
                "Every event is answered 404 and lost.",
                f"{EDIT}: URL; or {CONNECT}",
            )
        yield from _assignment(hook, found, registry)
        yield from _credentials(hook, settings)
        yield from endpoint_findings(settings, str(hook.get("url")), now, is_own=False)
        yield from _transport(hook)


def timeouts_of(found: Installation) -> WebhookTimeouts | None:
    """Returns the shortest timeouts of our webhooks."""
    if not found.ours:
        return None
    connect, read = (min(int(hook.get(name) or 0) for hook in found.ours) for name in ("connectTimeout", "readTimeout"))
    return WebhookTimeouts(connect, read, f"{EDIT}: Connect timeout, Read timeout")


def _assignment(hook: Json, found: Installation, registry: Registry | None) -> Iterator[Finding]:
    if hook.get("global"):
        return
    bound = {str(each) for each in hook.get("tenantIds") or ()}
    if not bound:
        means = "FusionAuth sends it nothing."
        yield loses("tenants", "The webhook is neither global nor bound to a tenant.", means, f"{EDIT}: Tenants")
        return
    wanted = {handler.tenant_id for handler in registry or () if handler.tenant_id is not None}
    if lacking := sorted(wanted - bound):
        names = ", ".join(found.tenant_name(each) for each in lacking)
        means = "Handlers for these tenants never run."
        yield loses("tenants", f"The webhook is not bound to {names}.", means, f"{EDIT}: Tenants")
    others = sorted(set(found.tenants) - bound - set(lacking))
    if others:
        names = ", ".join(found.tenant_name(each) for each in others[:5])
        wrong = f"The webhook is not bound to {counted(len(others), 'tenant', 'tenants')}: {names}."
        yield odd("tenants", wrong, "Their events are not sent here.", f"{EDIT}: Tenants, or All tenants")


def _credentials(hook: Json, settings: Settings) -> Iterator[Finding]:
    reason = refusal(settings, hook)
    if reason is None:
        yield fine("webhook-credentials", "The endpoint accepts the webhook's headers.")
        return
    what = "header" if reason == "required_header" else "Authorization header or Basic pair"
    names = "SUREHOOK_REQUIRED_HEADER" if what == "header" else "SUREHOOK_API_KEYS, SUREHOOK_BASIC_AUTH"
    yield loses(
        "webhook-credentials",
        f"The webhook's {what} is none of those in {names}.",
        "Every event is answered 401 and lost.",
        f"{EDIT}: Headers, Security; or {CONNECT}",
    )


def _transport(hook: Json) -> Iterator[Finding]:
    parts = urlsplit(str(hook.get("url")))
    if parts.username or parts.query:
        means = "It is in FusionAuth's event log and in the logs of proxies."
        yield odd("webhook-url", "The webhook's URL has a login or a query.", means, f"{EDIT}: URL")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK and "." in (parts.hostname or ""):
        yield odd(
            "webhook-tls",
            "The webhook's URL begins with http.",
            "Personal data and the API key cross the network in clear.",
            f"{EDIT}: URL; SUREHOOK_TLS_CERT, or a proxy with TLS",
        )
