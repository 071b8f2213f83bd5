"""Sets a simulated installation up so that it sends to our endpoint, as the settings ask for it."""

from collections.abc import Mapping

from surehook.fusionauth.own_endpoint import endpoint_url
from surehook.fusionauth.sample_parts import TENANT_ID
from surehook.fusionauth.sender import fixed_headers
from surehook.fusionauth.simulator.instance import Instance
from surehook.fusionauth.simulator.records import Json
from surehook.shared.errors import Misconfigured
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
    set_transactions(instance, dict.fromkeys(EVENT_TYPES, setting))
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


def set_transactions(instance: Instance, settings: Mapping[str, str]) -> None:
    """Saves the tenant with every type on; types that are not named keep their setting."""
    types = {
        name: {"enabled": True, "transactionType": settings.get(name) or instance.transaction_type(name, TENANT_ID)}
        for name in EVENT_TYPES
    }
    instance.save_tenant({"name": "Simulated", "eventConfiguration": {"events": types}}, TENANT_ID)


def add_other_webhook(instance: Instance, url: str) -> None:
    """Adds a webhook of another receiver, which gets all events and has a say in every transaction."""
    timeouts = {"connectTimeout": CONNECT_TIMEOUT_MS, "readTimeout": READ_TIMEOUT_MS}
    instance.save_webhook({"url": url, "global": True, "eventsEnabled": dict.fromkeys(EVENT_TYPES, True), **timeouts})


def rotate_key(instance: Instance, webhook_id: str) -> None:
    """Has the webhook sign with a new key of the same kind; both are published, as in a rotation by hand.

    Raises:
        Misconfigured: it signs with no published key.
    """
    webhook = instance.webhooks[webhook_id]
    old = instance.signing_key(webhook)
    if old is None or old.secret is not None:
        raise Misconfigured(
            "rotate_key: the endpoint must verify published keys: set SUREHOOK_JWKS_URL to the simulator's "
            "/.well-known/jwks.json, and no SUREHOOK_SIGNING_SECRETS"
        )
    new = instance.add_key(old.algorithm, name="webhooks")
    signature = {"enabled": True, "signingKeyId": new.id}
    instance.save_webhook({**webhook, "signatureConfiguration": signature}, webhook_id)
