"""The headers that FusionAuth would send with a body, according to the settings."""

import base64
import hashlib
import warnings
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from surehook.ingest.auth.signature import DIGEST_CLAIM, HEADER
from surehook.ingest.auth.signing_keys import CURVES
from surehook.shared.errors import Misconfigured
from surehook.shared.settings import Settings

PRIVATE = "PRIVATE KEY-----"
HOW_TO_SIGN = (
    "deliveries must be signed, and public keys cannot sign: give the private key with --signing-key FILE "
    "(and its id with --signing-key-id KID where SUREHOOK_JWKS_URL is set)"
)


class Sender:
    """One webhook of FusionAuth.

    Raises:
        Misconfigured: deliveries must be signed and there is nothing to sign with.
    """

    def __init__(self, settings: Settings, signing_key: str | None = None, key_id: str | None = None) -> None:
        self._fixed = {"Content-Type": "application/json", **_authorization(settings), **_required(settings)}
        self._key: Any = None
        if settings.is_signed or signing_key is not None:
            self._key, algorithm = _signing_key(settings, signing_key)
            pinned = key_id or next(iter(settings.signing_key_ids), None)
            self._header = {"alg": algorithm, "typ": "JWT", **({"kid": pinned} if pinned else {})}

    def headers(self, body: bytes) -> dict[bytes, bytes]:
        """Returns the headers for this body."""
        fixed = {name.encode(): value.encode() for name, value in self._fixed.items()}
        if self._key is None:
            return fixed
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        token = jwt.encode(self._header, {DIGEST_CLAIM: digest}, self._key, algorithms=[self._header["alg"]])
        return {**fixed, HEADER: token.encode()}


def _authorization(settings: Settings) -> dict[str, str]:
    if settings.api_keys:
        return {"Authorization": settings.api_keys[0].get_secret_value()}
    if settings.basic_auth:
        pair = settings.basic_auth[0].get_secret_value().encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}


def _required(settings: Settings) -> dict[str, str]:
    """The first value of each header."""
    found: dict[str, str] = {}
    for header in settings.required_header:
        name, _, value = header.get_secret_value().partition(":")
        found.setdefault(name.strip().lower(), value.strip())
    return found


def _signing_key(settings: Settings, name: str | None) -> tuple[Any, str]:
    if name is None:
        if not settings.signing_secrets:
            raise Misconfigured(HOW_TO_SIGN)
        return _secret(settings.signing_secrets[0].get_secret_value()), "HS256"
    try:
        text = Path(name).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise Misconfigured(f"--signing-key {name} cannot be read: {type(exc).__name__}") from exc
    if not text or ("-----BEGIN" in text and PRIVATE not in text):
        raise Misconfigured(f"--signing-key {name} holds neither a private key in PEM form nor a secret")
    return _private_key(text, name) if PRIVATE in text else (_secret(text), "HS256")


def _secret(value: str) -> OctKey:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # `surehook ingest` says it
        return OctKey.import_key(value)


def _private_key(text: str, name: str) -> tuple[Any, str]:
    for kind in (RSAKey, ECKey, OKPKey):
        try:
            key: Any = kind.import_key(text)
            return key, CURVES[key.curve_name] if kind is ECKey else "RS256" if kind is RSAKey else "Ed25519"
        except JoseError:
            continue  # another kind of key
        except (ValueError, TypeError, KeyError) as exc:
            raise Misconfigured(f"--signing-key {name} cannot be used: {type(exc).__name__}") from exc
    raise Misconfigured(f"--signing-key {name} is no RSA, EC or Ed25519 key")
