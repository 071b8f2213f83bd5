"""Makes the token that signs a body, and the tokens that a forger would try."""

import base64
import hashlib
import hmac
import json
import secrets
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from surehook.fusionauth.simulator.signing_keys import CURVES, RSA_BITS
from surehook.ingest.auth.signature import DIGEST_CLAIM

HMAC = "HS"
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
SECRET_BYTES = 64


@dataclass(frozen=True, slots=True)
class TokenKey:
    """`private` is an HMAC secret or a private key. FusionAuth names RSA keys by `kid`; HMAC is not documented."""

    algorithm: str
    private: Any
    kid: str | None = None

    @property
    def is_shared(self) -> bool:
        return self.algorithm.startswith(HMAC)

    def token(self, body: bytes, **header: Any) -> str:
        """Signs a body as FusionAuth does: one claim, no times (FACTS §2). `header` changes the token's header."""
        return self.seal({DIGEST_CLAIM: digest(body)}, **header)

    def seal(self, claims: Mapping[str, Any], **changes: Any) -> str:
        """Signs any claims. A header parameter that is None is left out."""
        header = {"alg": self.algorithm, "typ": "JWT", "kid": self.kid} | changes
        header = {name: value for name, value in header.items() if value is not None}
        payload = json.dumps(claims).encode()
        if self.is_shared:
            return seal_shared(header, payload, self.private, self.algorithm)
        # Edwards keys have two names (RFC 9864): the older one is what most libraries know.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)
            return jws.serialize_compact(header, payload, self.private, algorithms=[str(header["alg"])])

    def public_jwk(self) -> dict[str, Any]:
        """Returns the key's entry in FusionAuth's JWKS."""
        return {**self.private.as_dict(private=False), "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def public_pem(self) -> bytes:
        return bytes(self.private.as_pem(private=False))


def generate(algorithm: str) -> TokenKey:
    """Makes a key of an algorithm, with an id of its own."""
    kid = f"conformance-{secrets.token_urlsafe(12)}"
    if algorithm.startswith(HMAC):
        return TokenKey(algorithm, secrets.token_bytes(SECRET_BYTES), kid)
    if algorithm.startswith("RS"):
        return TokenKey(algorithm, RSAKey.generate_key(RSA_BITS), kid)
    if algorithm in CURVES:
        return TokenKey(algorithm, ECKey.generate_key(CURVES[algorithm]), kid)
    return TokenKey(algorithm, OKPKey.generate_key("Ed25519"), kid)


def seal_shared(header: Mapping[str, Any], payload: bytes, secret: bytes, algorithm: str) -> str:
    """Signs with HMAC, whatever the header says."""
    message = ".".join(map(_base64url, (json.dumps(header).encode(), payload)))
    return f"{message}.{_base64url(hmac.new(secret, message.encode(), HASHES[algorithm]).digest())}"


def unsigned(body: bytes, algorithm: str, kid: str | None) -> str:
    """Returns a token that says it needs no signature."""
    header = {"alg": algorithm, "typ": "JWT", "kid": kid}
    return f"{_base64url(json.dumps(header).encode())}.{_base64url(json.dumps({DIGEST_CLAIM: digest(body)}).encode())}."


def digest(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
