"""Keys that verify signatures, from shared secrets, PEM files and JWKS entries.

The key decides the algorithm, not the token. joserfc and cryptography do the cryptography; this file decides which keys
they may use, and for which algorithms.
"""

import hmac
import json
import logging
import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwa import JWS_ALGORITHMS
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.util import base64_to_int
from pydantic import SecretStr

from surehook.shared.errors import Misconfigured
from surehook.shared.files import read_text
from surehook.shared.sources import reason

log = logging.getLogger(__name__)

HMAC_ALGORITHMS = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
RSA_ALGORITHMS = {"RS256": SHA256(), "RS384": SHA384(), "RS512": SHA512()}
CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
CURVE_NAMES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
# FusionAuth's list of keys uses the first name; tokens carried the second (RFC 8037) before RFC 9864.
EDWARDS_ALGORITHMS = ("Ed25519", "EdDSA")
PUBLIC_ALGORITHMS = frozenset((*RSA_ALGORITHMS, *CURVES.values(), *EDWARDS_ALGORITHMS))
PUBLIC_MEMBERS = ("kty", "n", "e", "crv", "x", "y")
EDWARDS_PRIME = 2**255 - 19
_ORDER_EIGHT = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
SMALL_ORDER = {0, 1, EDWARDS_PRIME - 1, _ORDER_EIGHT, EDWARDS_PRIME - _ORDER_EIGHT}  # their y coordinates
MIN_RSA_BITS = 2048  # RFC 7518, section 3.3
MAX_RSA_BITS = 8192  # with a longer key each forged token would cost a millisecond
MIN_SECRET_BYTES = 32  # RFC 7518, section 3.2, for HS256
MAX_KEY_ID_LENGTH = 256

_PADDING = padding.PKCS1v15()
_MODELS = {model.name: model for model in JWS_ALGORITHMS}
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_KEY_ERRORS = (ValueError, KeyError, TypeError, UnsupportedAlgorithm, JoseError)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that verifies signatures, and the algorithms it may be used with."""

    algorithms: frozenset[str]
    key: Any = field(repr=False)

    def has_signed(self, message: bytes, signature: bytes, algorithm: str) -> bool:
        """Verify in constant time for an HMAC. The algorithm must be one of `algorithms`."""
        # HMAC and RSA as in joserfc, but without creating the same objects for each delivery: these took half of the
        # time of an HMAC and a tenth of RSA's.
        if isinstance(self.key, bytes):
            return hmac.compare_digest(hmac.digest(self.key, message, HMAC_ALGORITHMS[algorithm]), signature)
        if isinstance(self.key, RSAPublicKey):
            try:
                self.key.verify(signature, message, _PADDING, RSA_ALGORITHMS[algorithm])
            except InvalidSignature:
                return False
            return True
        return _MODELS[algorithm].verify(message, signature, self.key)


def keys_from_secrets(secrets: Sequence[SecretStr]) -> Iterator[SigningKey]:
    """HMAC keys: the UTF-8 bytes of the secrets, without base64 decoding, as in FusionAuth."""
    for secret in secrets:
        value = secret.get_secret_value().encode()
        if len(value) < MIN_SECRET_BYTES:
            log.warning("signing secret shorter than its hash", extra={"variable": "SUREHOOK_SIGNING_SECRETS"})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # logged above
            try:
                OctKey.import_key(value)
            except ValueError as exc:
                raise Misconfigured("SUREHOOK_SIGNING_SECRETS: a public key is no secret") from exc
        yield SigningKey(frozenset(HMAC_ALGORITHMS), value)


def keys_from_files(names: Sequence[str]) -> Iterator[SigningKey]:
    """All public keys in the PEM files.

    Raises:
        Misconfigured: a file cannot be read, or holds something other than sufficiently strong public keys.
    """
    for name in names:
        source = f"SUREHOOK_SIGNING_PUBLIC_KEYS: {name}"
        try:
            text = read_text(Path(name))
        except (OSError, UnicodeDecodeError) as exc:
            raise Misconfigured(f"{source} cannot be read: {reason(exc)}") from exc
        blocks = list(_PEM.finditer(text))
        if not blocks:
            raise Misconfigured(f"{source} holds no PEM; a shared secret belongs into SUREHOOK_SIGNING_SECRETS")
        for block in blocks:
            if "PRIVATE" in block[1]:
                raise Misconfigured(f"{source} holds a private key; it stays with FusionAuth, give us its public key")
            if "PUBLIC KEY" not in block[1]:
                raise Misconfigured(f"{source} holds a {block[1]}; a PUBLIC KEY is expected")
            try:
                yield _from_pem(block[0].encode())
            except _KEY_ERRORS as exc:
                why = str(exc) if type(exc) is WeakKey else "no key that FusionAuth signs with"
                raise Misconfigured(f"{source}: {why}; RSA of {MIN_RSA_BITS} bits and more, EC on P-256, P-384 "
                                    "or P-521, or Ed25519") from exc  # fmt: skip


def keys_from_jwks(document: bytes, pinned: Collection[str]) -> Mapping[str, Sequence[SigningKey]]:
    """The usable keys of a JWKS (RFC 7517), by `kid`; only the `pinned` ones if any are pinned.

    Unusable entries (another kind of key, an encryption key, a weak or malformed one) are skipped.

    Raises:
        ValueError: the document is no JWKS, or has no usable key.
    """
    try:
        entries = json.loads(document.decode("utf-8"))["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("no JWKS") from None
    found: dict[str, list[SigningKey]] = {}
    for entry in entries if isinstance(entries, list) else ():
        kid = entry.get("kid") if isinstance(entry, dict) else None
        if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KEY_ID_LENGTH or (pinned and kid not in pinned):
            continue
        try:
            key = _from_jwk(entry)
        except _KEY_ERRORS as exc:
            # A JWKS may hold keys for other purposes; a pinned key that is unusable is a mistake.
            level = logging.WARNING if pinned else logging.DEBUG
            log.log(level, "unusable JWKS entry", extra={"key_id": kid, "reason": str(exc)})
            continue
        found.setdefault(kid, []).append(key)
    if not found:
        raise ValueError("no usable key")
    return found


class WeakKey(ValueError):
    """An RSA key that is too short to be safe or too long to verify quickly, or an Ed25519 key of small order."""


def _from_pem(block: bytes) -> SigningKey:
    key = load_pem_public_key(block)
    if isinstance(key, RSAPublicKey):
        _require_size(key.key_size)
        return SigningKey(frozenset(RSA_ALGORITHMS), key)
    if isinstance(key, EllipticCurvePublicKey):
        return SigningKey(frozenset({CURVES[CURVE_NAMES[key.curve.name]]}), ECKey.import_key(key))
    if isinstance(key, Ed25519PublicKey):
        _require_large_order(key)
        return SigningKey(frozenset(EDWARDS_ALGORITHMS), OKPKey.import_key(key))
    raise ValueError("another kind of key")


def _from_jwk(entry: Mapping[str, Any]) -> SigningKey:
    operations = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise ValueError("for another use")
    if "d" in entry:
        raise ValueError("a published private key authenticates nothing")
    public = {name: entry[name] for name in PUBLIC_MEMBERS if name in entry}
    key_type = entry["kty"]
    if key_type == "RSA":
        _require_size(base64_to_int(entry["n"]).bit_length())
        key: Any = RSAKey.import_key(public).public_key
        algorithms = frozenset(RSA_ALGORITHMS)
    elif key_type == "EC":
        key = ECKey.import_key(public)
        algorithms = frozenset({CURVES[key.curve_name]})
    elif key_type == "OKP" and entry["crv"] == "Ed25519":
        key = OKPKey.import_key(public)
        _require_large_order(key.public_key)
        algorithms = frozenset(EDWARDS_ALGORITHMS)
    else:
        raise ValueError("another kind of key")
    algorithm = entry.get("alg")
    if algorithm is not None and algorithm not in algorithms:
        raise ValueError("for another algorithm")
    if algorithm in RSA_ALGORITHMS:
        algorithms &= {algorithm}
    return SigningKey(algorithms, key)


def _require_large_order(key: Any) -> None:
    """Checks that the point is none of the eight of small order: without any private key, a signature fits these.

    The sign and multiples of the field's prime do not matter: OpenSSL reads several encodings as one point.
    """
    encoded = int.from_bytes(key.public_bytes_raw(), "little") & (2**255 - 1)
    if encoded % EDWARDS_PRIME in SMALL_ORDER:
        raise WeakKey("an Ed25519 key of small order")


def _require_size(bits: int) -> None:
    if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        raise WeakKey(f"an RSA key of {bits} bits")
