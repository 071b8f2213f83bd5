"""The signature that FusionAuth would send with a body (FusionAuth: "Signing Webhooks")."""

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
from surehook.shared.files import read_text
from surehook.shared.settings import Settings
from surehook.shared.sources import reason

PRIVATE = "PRIVATE KEY-----"
HOW_TO_SIGN = (
    "deliveries must be signed, and public keys cannot sign: give the private key with --signing-key FILE "
    "(and its id with --signing-key-id KID where SUREHOOK_JWKS_URL is set)"
)


class Signer:
    """Signs with the key in a file, or else with the first of the settings' secrets.

    Raises:
        Misconfigured: there is nothing to sign with.
    """

    def __init__(self, settings: Settings, signing_key: str | None, key_id: str | None) -> None:
        self._key, self._algorithm = _signing_key(settings, signing_key)
        pinned = key_id or next(iter(settings.signing_key_ids), None)
        self._token_header = {"alg": self._algorithm, "typ": "JWT", **({"kid": pinned} if pinned else {})}

    def header(self, body: bytes) -> dict[bytes, bytes]:
        """Returns the HTTP header that signs the body."""
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        token = jwt.encode(self._token_header, {DIGEST_CLAIM: digest}, self._key, algorithms=[self._algorithm])
        return {HEADER: token.encode()}


def _signing_key(settings: Settings, name: str | None) -> tuple[Any, str]:
    if name is None:
        if not settings.signing_secrets:
            raise Misconfigured(HOW_TO_SIGN)
        return _secret(settings.signing_secrets[0].get_secret_value()), "HS256"
    return key_in_file(name)


def key_in_file(name: str) -> tuple[Any, str]:
    """Returns the private key in a PEM file, or the secret in another file, and its algorithm.

    Raises:
        Misconfigured: it holds neither.
    """
    try:
        text = read_text(Path(name)).strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise Misconfigured(f"--signing-key {name} cannot be read: {reason(exc)}") from exc
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
