"""Chooses the key that FusionAuth signs with.

Where FusionAuth can publish it safely, it generates a pair and keeps the private key: no secret is handed over. Where
it cannot (plain HTTP to another machine), a secret of ours is imported and written to `.env`. A kind of key that the
settings already name is kept.
"""

import secrets

from surehook.fusionauth.client import FusionAuthClient
from surehook.fusionauth.connection.goal import publishes_keys_safely
from surehook.fusionauth.connection.steps import Outcome, Step
from surehook.fusionauth.doctor.access import Installation, Json
from surehook.fusionauth.shapes import KEY
from surehook.fusionauth.transport import FusionAuthError
from surehook.shared.errors import Misconfigured
from surehook.shared.settings import Settings

NAME = "Surehook webhooks"
SECRET_BYTES = 48
JWKS_PATH = "/.well-known/jwks.json"


def signing_steps(settings: Settings, found: Installation, hook: Json | None) -> list[Step]:
    """Returns the step that makes the key and tells us of it; none if the webhook signs with a key that we verify.

    Raises:
        Misconfigured: the settings name keys that FusionAuth does not have.
    """
    signature = (hook or {}).get("signatureConfiguration") or {}
    current = found.keys.get(str(signature.get("signingKeyId"))) if signature.get("enabled") else None
    if current is not None and _verifies(settings, current):
        return []
    if settings.signing_secrets:
        return [_imported(settings.signing_secrets[0].get_secret_value(), "SUREHOOK_SIGNING_SECRETS")]
    if settings.jwks_url is not None or settings.signing_public_keys:
        return [_known(settings, found)]
    if settings.fusionauth_url is not None and publishes_keys_safely(settings.fusionauth_url):
        return [_published(found, settings.fusionauth_url, None if current is None else current)]
    return [_imported(secrets.token_urlsafe(SECRET_BYTES), None)]


def _verifies(settings: Settings, key: Json) -> bool:
    if key.get("type") == "HMAC":
        return bool(settings.signing_secrets)
    is_pinned = not settings.signing_key_ids or key.get("kid") in settings.signing_key_ids
    return is_pinned and bool(settings.jwks_url or settings.signing_public_keys)


def _published(found: Installation, url: str, current: Json | None) -> Step:
    is_public = current is not None and current.get("type") != "HMAC"
    existing = current if is_public else _named(found)
    jwks_url = url.rstrip("/") + JWKS_PATH

    def publish(client: FusionAuthClient, outcome: Outcome) -> None:
        key = existing or _generate(client, outcome)
        _use(outcome, key)
        outcome.env |= {"SUREHOOK_JWKS_URL": jwks_url, "SUREHOOK_SIGNING_KEY_IDS": _kid(key)}

    made = "use FusionAuth's signing key" if existing else "have FusionAuth generate a signing key (RS256)"
    return Step(
        f"{made} '{(existing or {}).get('name', NAME)}', and verify with it (SUREHOOK_JWKS_URL in .env)", publish
    )


def _known(settings: Settings, found: Installation) -> Step:
    pinned = [key for key in found.keys.values() if key.get("kid") in settings.signing_key_ids]
    if settings.signing_key_ids and not pinned:
        raise Misconfigured("SUREHOOK_SIGNING_KEY_IDS names no key of this FusionAuth: remove it, or correct it")
    if settings.jwks_url is None and not pinned:
        raise Misconfigured(
            "SUREHOOK_SIGNING_PUBLIC_KEYS: which of FusionAuth's keys signs? Name its kid in SUREHOOK_SIGNING_KEY_IDS"
        )
    existing = pinned[0] if pinned else _named(found)

    def use(client: FusionAuthClient, outcome: Outcome) -> None:
        _use(outcome, existing or _generate(client, outcome))

    return Step(f"sign with FusionAuth's key '{(existing or {}).get('name', NAME)}'", use)


def _imported(secret: str, setting: str | None) -> Step:
    def import_key(client: FusionAuthClient, outcome: Outcome) -> None:
        if setting is None:
            # First: a run that is killed after the import finds the secret, and FusionAuth never tells it again.
            outcome.add_secret("SUREHOOK_SIGNING_SECRETS", secret)
        given = {"algorithm": "HS256", "name": NAME, "secret": secret, "type": "HMAC"}
        key = client.create("/api/key/import", "key", given, KEY)
        outcome.add_undo(f"DELETE /api/key/{key['id']}")
        _use(outcome, key)

    origin = f"of {setting}" if setting else "(new, SUREHOOK_SIGNING_SECRETS in .env)"
    return Step(f"import the shared secret {origin} as FusionAuth's signing key '{NAME}'", import_key)


def _named(found: Installation) -> Json | None:
    """Returns the key that an earlier run has made."""
    return next((key for key in found.keys.values() if key.get("name") == NAME and key.get("type") != "HMAC"), None)


def _generate(client: FusionAuthClient, outcome: Outcome) -> Json:
    given = {"algorithm": "RS256", "name": NAME, "length": 2048}
    key = client.create("/api/key/generate", "key", given, KEY)
    outcome.add_undo(f"DELETE /api/key/{key['id']}")
    return key


def _kid(key: Json) -> str:
    """
    Raises:
        FusionAuthError: the key has none, so that no signature could be traced to it.
    """
    if not key.get("kid"):
        raise FusionAuthError(f"FusionAuth's key '{key.get('name')}' has no kid: delete it there, and run this again")
    return str(key["kid"])


def _use(outcome: Outcome, key: Json) -> None:
    outcome.signature = {"signatureConfiguration": {"enabled": True, "signingKeyId": key["id"]}}
