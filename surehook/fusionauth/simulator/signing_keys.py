"""FusionAuth's keys: generated or imported, published as JWKS, and used to sign webhooks (FACTS §2)."""

import base64
import hashlib
import secrets
import warnings
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from surehook.fusionauth.simulator.quirks import Quirks
from surehook.ingest.auth.signature import DIGEST_CLAIM

SIGNATURE_HEADER = "X-FusionAuth-Signature-JWT"
CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
ALGORITHMS = ("HS256", "HS384", "HS512", "RS256", "RS384", "RS512", *CURVES, "Ed25519")
RSA_BITS = 2048
SECRET_BYTES = 64


@dataclass(frozen=True, slots=True)
class SimulatedKey:
    """A key with its private part. `json` is what the API shows of it, without the private part or a secret."""

    json: dict[str, Any]
    _key: Any
    secret: str | None = None

    @property
    def id(self) -> str:
        return str(self.json["id"])

    @property
    def algorithm(self) -> str:
        return str(self.json["algorithm"])

    def public_jwk(self) -> dict[str, Any] | None:
        """Returns the entry in the JWKS; None for a secret, which is never published."""
        if self.secret is not None:
            return None
        return {**self._key.as_dict(private=False), "kid": self.json["kid"], "alg": self.algorithm, "use": "sig"}

    def signature_header(self, body: bytes, quirks: Quirks) -> tuple[str, str]:
        """Returns the HTTP header that signs a body."""
        algorithm = quirks.edwards_algorithm if self.algorithm == "Ed25519" else self.algorithm
        token_header = {"alg": algorithm, "typ": "JWT"}
        if self.secret is None or quirks.hmac_has_key_id:
            token_header["kid"] = str(self.json["kid"])
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # "EdDSA" is an older name (RFC 9864)
            token = jwt.encode(token_header, {DIGEST_CLAIM: digest}, self._key, algorithms=[algorithm])
        return SIGNATURE_HEADER, token


def generate_key(
    algorithm: str, *, now_ms: int, name: str = "", secret: str | None = None, key_id: str | None = None
) -> SimulatedKey:
    """Makes a new key; `secret` imports one of an HMAC algorithm instead.

    Raises:
        ValueError: there is no such algorithm, or a secret was given for one that has none.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"no such algorithm: {algorithm}; there are {', '.join(ALGORITHMS)}")
    is_hmac = algorithm.startswith("HS")
    if secret is not None and not is_hmac:
        raise ValueError(f"{algorithm} has no secret")
    if is_hmac:
        secret = secret or secrets.token_urlsafe(SECRET_BYTES)
    key, kind = _new_key(algorithm, secret)
    shown = {
        "algorithm": algorithm,
        "hasPrivateKey": not is_hmac,
        "id": key_id or str(uuid4()),
        "insertInstant": now_ms,
        "kid": secrets.token_urlsafe(20),
        "lastUpdateInstant": now_ms,
        "name": name or f"{algorithm} signing key",
        "type": kind,
    }
    if not is_hmac:
        shown["publicKey"] = key.as_pem(private=False).decode()
    return SimulatedKey(shown, key, secret)


def _new_key(algorithm: str, secret: str | None) -> tuple[Any, str]:
    if secret is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # a short secret is what some installations have
            return OctKey.import_key(secret), "HMAC"
    if algorithm.startswith("RS"):
        return RSAKey.generate_key(RSA_BITS), "RSA"
    if algorithm in CURVES:
        return ECKey.generate_key(CURVES[algorithm]), "EC"
    return OKPKey.generate_key("Ed25519"), "OKP"
