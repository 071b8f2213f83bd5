"""FusionAuth's side of the signature, written by hand, so that no code of the receiver tests itself."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

SIGNATURE = "X-FusionAuth-Signature-JWT"
SECRET = "a-shared-secret-of-more-than-64-bytes-for-tests-only-0123456789-abcdefgh"
SHA2 = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES: dict[str, tuple[ec.EllipticCurve, str]] = {
    "256": (ec.SECP256R1(), "P-256"),
    "384": (ec.SECP384R1(), "P-384"),
    "512": (ec.SECP521R1(), "P-521"),
}
HMAC_ALGORITHMS = ("HS256", "HS384", "HS512")
PUBLIC_ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
ALGORITHMS = (*HMAC_ALGORITHMS, *PUBLIC_ALGORITHMS)


def b64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def digest_of(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


@dataclass(frozen=True)
class Signer:
    """A key of FusionAuth: one algorithm, and its name in a token."""

    algorithm: str
    key: Any
    kid: str | None = "the-key"

    def header(self) -> dict[str, Any]:
        named = {} if self.kid is None else {"kid": self.kid}
        return {"alg": self.algorithm, "typ": "JWT", **named}

    def token(self, body: bytes, *, header: Any = None, **claims: Any) -> str:
        """Signs a body; `header` replaces the usual header, `claims` are added to the digest."""
        return self.seal(header or self.header(), {"request_body_sha256": digest_of(body), **claims})

    def seal(self, header: Any, claims: Any) -> str:
        """Signs any header and claims: bytes as they are, other values as JSON."""
        parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims)]
        message = ".".join(map(b64url, parts))
        return f"{message}.{b64url(self.sign(message.encode()))}"

    def sign(self, message: bytes) -> bytes:
        kind, size = self.algorithm[:2], self.algorithm[2:]
        if kind == "HS":
            return hmac.new(self.key, message, f"sha{size}").digest()
        if kind == "RS":
            return bytes(self.key.sign(message, padding.PKCS1v15(), SHA2[size]))
        if kind == "ES":
            length = (CURVES[size][0].key_size + 7) // 8
            numbers = decode_dss_signature(self.key.sign(message, ec.ECDSA(SHA2[size])))
            return b"".join(number.to_bytes(length, "big") for number in numbers)
        return bytes(self.key.sign(message))

    def headers(self, body: bytes, **claims: Any) -> dict[str, str]:
        return {SIGNATURE: self.token(body, **claims), "Content-Type": "application/json"}

    def public_pem(self) -> str:
        key = self.key.public_key()
        return str(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())

    def private_pem(self) -> str:
        return str(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())

    def jwk(self, **fields: Any) -> dict[str, Any]:
        """Returns the key as FusionAuth publishes it."""
        return {"kid": self.kid, "use": "sig", "alg": self.algorithm, **_public_parts(self), **fields}


def signer(algorithm: str, kid: str | None = "the-key", number: int = 0) -> Signer:
    """Returns the same key for the same algorithm and number."""
    if algorithm.startswith("HS"):
        return Signer(algorithm, (SECRET + str(number or "")).encode(), kid)
    kind = "Ed" if algorithm.startswith("Ed") else algorithm[:2]
    return Signer(algorithm, _private_key(kind, algorithm[2:] if kind == "ES" else "", number), kid)


def jwks(*signers: Signer) -> bytes:
    return json.dumps({"keys": [each.jwk() for each in signers]}).encode()


@cache
def _private_key(kind: str, size: str, number: int) -> Any:
    del number  # part of the cache's key
    if kind == "RS":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(CURVES[size][0]) if kind == "ES" else ed25519.Ed25519PrivateKey.generate()


def _public_parts(given: Signer) -> dict[str, str]:
    public = given.key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
    if isinstance(public, ec.EllipticCurvePublicKey):
        length = (public.key_size + 7) // 8
        point = public.public_numbers()
        curve = CURVES[given.algorithm[2:]][1]
        return {"kty": "EC", "crv": curve, "x": _number(point.x, length), "y": _number(point.y, length)}
    return {"kty": "OKP", "crv": "Ed25519", "x": b64url(public.public_bytes(Encoding.Raw, PublicFormat.Raw))}


def _number(value: int, length: int = 0) -> str:
    return b64url(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))
