"""Asks the endpoint's own code whether it accepts the credentials that a webhook of FusionAuth sends."""

import base64
from collections.abc import Mapping
from typing import Any

from surehook.ingest.auth.credentials import authenticator_from
from surehook.ingest.metrics import IngestMetrics
from surehook.shared.errors import AuthenticationFailed
from surehook.shared.settings import Settings

Json = Mapping[str, Any]


def accepts(settings: Settings, hook: Json) -> bool:
    """Says whether the endpoint accepts the headers that FusionAuth would send, apart from signatures."""
    return refusal(settings, hook) is None


def refusal(settings: Settings, hook: Json) -> str | None:
    """Returns the reason for which the endpoint refuses them; None if it accepts them."""
    unsigned = {"signing_secrets": (), "signing_public_keys": (), "jwks_url": None, "allow_unauthenticated": True}
    authenticator = authenticator_from(settings.model_copy(update=unsigned), IngestMetrics())
    try:
        authenticator.authenticate_now(_headers(hook))
    except AuthenticationFailed as exc:
        return str(exc)
    return None


def _headers(hook: Json) -> list[tuple[bytes, bytes]]:
    given = dict(hook.get("headers") or {})
    if user := hook.get("httpAuthenticationUsername"):
        pair = f"{user}:{hook.get('httpAuthenticationPassword') or ''}".encode()
        # A configured header of that name stays beside it, unless it is spelled the same (FACTS §16).
        given["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    headers = [(str(name).lower(), str(value)) for name, value in given.items()]
    return [(name.encode(), value.encode()) for name, value in headers]
