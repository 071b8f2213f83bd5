"""Sets a simulated installation up so that it sends to our endpoint, as the settings ask for it."""

from surehook.fusionauth.own_endpoint import endpoint_url
from surehook.fusionauth.sample_parts import TENANT_ID
from surehook.fusionauth.sender import fixed_headers
from surehook.fusionauth.simulator.instance import Instance
from surehook.fusionauth.simulator.records import Json
from surehook.shared.event_types import EVENT_TYPES
from surehook.shared.settings import Settings

# FusionAuth's documented example, in milliseconds.
CONNECT_TIMEOUT_MS = 1000
READ_TIMEOUT_MS = 2000


def connect(instance: Instance, settings: Settings, *, url: str | None = None, setting: str = "None") -> Json:
    """Creates a tenant and a webhook with every type on, and returns the webhook.

    It signs with the first of the settings' secrets; without one, and where signatures are required, with a new key,
    which the installation publishes.
    """
    types = {name: {"enabled": True, "transactionType": setting} for name in EVENT_TYPES}
    instance.save_tenant({"name": "Simulated", "eventConfiguration": {"events": types}}, TENANT_ID)
    webhook: Json = {
        "connectTimeout": CONNECT_TIMEOUT_MS,
        "eventsEnabled": dict.fromkeys(EVENT_TYPES, True),
        "global": True,
        "headers": fixed_headers(settings),
        "readTimeout": READ_TIMEOUT_MS,
        "url": url or endpoint_url(settings),
    }
    if settings.is_signed:
        secrets = settings.signing_secrets
        secret = secrets[0].get_secret_value() if secrets else None
        key = instance.add_key("HS256" if secret else "RS256", name="webhooks", secret=secret)
        webhook["signatureConfiguration"] = {"enabled": True, "signingKeyId": key.id}
    return instance.save_webhook(webhook)
