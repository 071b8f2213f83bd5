"""Checks that FusionAuth signs with a key that we verify with."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from surehook.fusionauth.doctor.access import Installation, Json
from surehook.fusionauth.doctor.findings import Finding, fine, loses, odd
from surehook.ingest.auth.jwks import FetchFailed, fetch_from
from surehook.ingest.auth.signing_keys import keys_from_jwks
from surehook.shared.plural import counted
from surehook.shared.settings import Settings

EDIT = "FusionAuth: Settings > Webhooks > Edit: Security: Sign events, Signing key"
KEYS = "FusionAuth: Settings > Key Master"
LOST = "Every event is answered 401 and lost."
SOON = timedelta(days=30)


def published_key_findings(settings: Settings) -> Iterator[Finding]:
    """Fetches the published keys as the endpoint does at its start and every five minutes."""
    if settings.jwks_url is None:
        return
    try:
        keys = keys_from_jwks(asyncio.run(_fetch(settings.jwks_url)), settings.signing_key_ids)
    except (FetchFailed, ValueError) as exc:
        means = "An endpoint that starts now takes no event, and one that runs refuses those signed with a new key."
        yield loses("jwks", f"SUREHOOK_JWKS_URL gives no keys ({exc}).", means, "SUREHOOK_JWKS_URL")
    else:
        yield fine("jwks", f"SUREHOOK_JWKS_URL gives {counted(len(keys), 'usable key', 'usable keys')}.")


def signing_findings(settings: Settings, found: Installation, now: datetime) -> Iterator[Finding]:
    for hook in found.ours:
        signature = hook.get("signatureConfiguration") or {}
        if not signature.get("enabled"):
            if settings.is_signed:
                yield loses("signing", "FusionAuth does not sign, and we require a signature.", LOST, EDIT)
            else:
                means = "All who see the header once can forge events."
                yield odd("signing", "FusionAuth does not sign.", means, f"{EDIT}; or `surehook connect`")
            continue
        if not settings.is_signed:
            change = "SUREHOOK_JWKS_URL or SUREHOOK_SIGNING_SECRETS"
            yield odd("signing", "FusionAuth signs, and we do not verify it.", "A forged event is accepted.", change)
            continue
        key = found.keys.get(str(signature.get("signingKeyId")))
        if key is None:
            yield loses("signing-key", "The webhook's signing key is gone.", "FusionAuth cannot sign.", EDIT)
            continue
        yield _matching(settings, key)
        yield from _expiry(key, now)


def _matching(settings: Settings, key: Json) -> Finding:
    name = f"The signing key {key.get('name') or key.get('kid')}"
    if key.get("type") == "HMAC":
        if settings.signing_secrets:
            return fine("signing-key", f"{name} is a shared secret; that it is ours, only a delivery shows.")
        return loses("signing-key", f"{name} is a shared secret, and we have none.", LOST, "SUREHOOK_SIGNING_SECRETS")
    kid = str(key.get("kid"))
    if settings.signing_key_ids and kid not in settings.signing_key_ids:
        return loses("signing-key", f"{name} is not in SUREHOOK_SIGNING_KEY_IDS.", LOST, "SUREHOOK_SIGNING_KEY_IDS")
    if _is_in_files(settings, str(key.get("publicKey"))):
        return fine("signing-key", f"{name} is in SUREHOOK_SIGNING_PUBLIC_KEYS.")
    if settings.jwks_url is None:
        return loses("signing-key", f"We do not have {name[4:]}.", LOST, "SUREHOOK_JWKS_URL or SIGNING_PUBLIC_KEYS")
    return _published(settings.jwks_url, kid, name)


def _is_in_files(settings: Settings, public_key: str) -> bool:
    try:
        wanted = _spki(public_key.encode())
    except ValueError:
        return False
    files = [Path(name).read_bytes() for name in settings.signing_public_keys]
    blocks = [b"-----BEGIN" + part for each in files for part in each.split(b"-----BEGIN")[1:]]
    return wanted in map(_spki, blocks)


def _spki(pem: bytes) -> bytes:
    return load_pem_public_key(pem).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _published(url: str, kid: str, name: str) -> Finding:
    try:
        is_there = kid in keys_from_jwks(asyncio.run(_fetch(url)), ())
    except (FetchFailed, ValueError) as exc:
        return loses("jwks", f"SUREHOOK_JWKS_URL gives no keys ({exc}).", LOST, "SUREHOOK_JWKS_URL")
    if is_there:
        return fine("signing-key", f"{name} is published at SUREHOOK_JWKS_URL.")
    return loses("signing-key", f"{name} is not published at SUREHOOK_JWKS_URL.", LOST, "SUREHOOK_JWKS_URL")


async def _fetch(url: str) -> bytes:
    return await fetch_from(url)()


def _expiry(key: Json, now: datetime) -> Iterator[Finding]:
    instant = key.get("expirationInstant")
    if not isinstance(instant, int):
        return
    ends_at = datetime.fromtimestamp(instant / 1000, UTC)
    if ends_at - now < SOON:
        verb = "expired" if ends_at <= now else "expires"
        means = "What FusionAuth does with an expired key is not documented: it may stop signing."
        yield odd("signing-key-expiry", f"The signing key {verb} on {ends_at:%Y-%m-%d}.", means, KEYS)
