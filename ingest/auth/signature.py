"""Verifies FusionAuth's signature: a JWT in a header that carries the SHA-256 of the body.

The token is verified before a byte of the body is read; the body is then compared with the digest in the token. The
token does not decide how it is verified: its algorithm must belong to a known key, and it must not bring a key.
"""

import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from surehook.ingest.auth.jwks import Jwks
from surehook.ingest.auth.signing_keys import MAX_KEY_ID_LENGTH, PUBLIC_ALGORITHMS, SigningKey
from surehook.shared.errors import AuthenticationFailed

HEADER = b"x-fusionauth-signature-jwt"
DIGEST_CLAIM = "request_body_sha256"
DIGEST_LENGTH = 44  # standard base64 of 32 bytes, padded
MAX_TOKEN_BYTES = 8192
SEPARATORS = 2
MOST_BRACKETS = 100  # limits the nesting; FusionAuth's tokens have two
TIMES = frozenset(("exp", "nbf", "iat"))
MAX_INSTANT = 253_402_300_799  # the end of the year 9999; NaN, infinity and endless numbers are beyond it
LEEWAY_SECONDS = 60.0  # between FusionAuth's clock and ours
CACHED_HEADERS = 64
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/***")  # the standard alphabet's own characters become invalid
LAST_CHARACTERS = (ALPHABET, b"", ALPHABET[::16], ALPHABET[::4])  # by the length of the last group of four
# The claims as FusionAuth writes them: a match is valid JSON with no other claim, so it need not be parsed.
PLAIN_CLAIMS = re.compile(rb'\{ ?"request_body_sha256" ?: ?"([A-Za-z0-9+/]{43}=)" ?\}')
# Parameters that contain a key, point to one, or demand unsupported rules (RFC 7515, section 4.1; RFC 7797).
REFUSED_PARAMETERS = frozenset(("jku", "jwk", "x5u", "x5c", "crit", "b64"))


@dataclass(frozen=True, slots=True)
class TokenHeader:
    """The key and algorithm that a token names. Untrusted: only compared with the known keys."""

    algorithm: str
    key_id: str | None


class Signatures:
    """Verifies tokens with the keys from the settings and from the JWKS, if there is one."""

    def __init__(
        self,
        keys: Sequence[SigningKey],
        jwks: Jwks | None = None,
        pinned: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._jwks = jwks
        self._pinned = frozenset(pinned)
        self._clock = clock
        self._algorithms = frozenset().union(*(key.algorithms for key in keys))
        if jwks is not None:
            self._algorithms |= PUBLIC_ALGORITHMS

    async def signed_digest(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Verify the token, and return the digest of the body that it states.

        Raises:
            AuthenticationFailed: there is no valid token.
        """
        values = [value for name, value in headers if name == HEADER]
        if not values:
            raise AuthenticationFailed("signature_missing")
        if len(values) > 1 or len(values[0]) > MAX_TOKEN_BYTES or values[0].count(b".") != SEPARATORS:
            raise AuthenticationFailed("signature_malformed")
        message, _, signature_part = values[0].rpartition(b".")
        header_part, _, claims_part = message.partition(b".")
        signature = _decode(signature_part)
        header = _token_header(header_part)
        if header.algorithm not in self._algorithms:
            raise AuthenticationFailed("signature_algorithm")
        if self._pinned and header.key_id is not None and header.key_id not in self._pinned:
            raise AuthenticationFailed("signature_key")
        if not _is_signed_by(self._keys, message, signature, header.algorithm):
            await self._require_published_key(header, message, signature)
        claims = _decode(claims_part)
        plain = PLAIN_CLAIMS.fullmatch(claims)
        return plain[1] if plain else _digest(_json_object(claims), self._clock())

    async def _require_published_key(self, header: TokenHeader, message: bytes, signature: bytes) -> None:
        if self._jwks is None or header.algorithm not in PUBLIC_ALGORITHMS:
            raise AuthenticationFailed("signature_wrong")
        if header.key_id is None:
            raise AuthenticationFailed("signature_key")
        published = await self._jwks.find(header.key_id)
        if not published:
            raise AuthenticationFailed("signature_key" if self._jwks.has_keys else "signature_no_keys_yet")
        if not _is_signed_by(published, message, signature, header.algorithm):
            raise AuthenticationFailed("signature_wrong")


def require_signed_body(body: bytes, digest: bytes) -> None:
    """Compare the body with the signed digest.

    Raises:
        AuthenticationFailed: another body was signed.
    """
    actual = binascii.b2a_base64(hashlib.sha256(body).digest(), newline=False)
    if not hmac.compare_digest(actual, digest):
        raise AuthenticationFailed("signature_of_another_body")


def _is_signed_by(keys: Sequence[SigningKey], message: bytes, signature: bytes, algorithm: str) -> bool:
    for key in keys:  # noqa: SIM110 - any() would create a generator for each delivery, to try one or two keys
        if algorithm in key.algorithms and key.has_signed(message, signature, algorithm):
            return True
    return False


# FusionAuth sends the same header with each token; failures are not cached.
@lru_cache(CACHED_HEADERS)
def _token_header(part: bytes) -> TokenHeader:
    header = _json_object(_decode(part))
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or not REFUSED_PARAMETERS.isdisjoint(header):
        raise AuthenticationFailed("signature_malformed")
    if key_id is not None and not (isinstance(key_id, str) and 0 < len(key_id) <= MAX_KEY_ID_LENGTH):
        raise AuthenticationFailed("signature_malformed")
    return TokenHeader(algorithm, key_id)


def _digest(claims: dict[str, Any], now: float) -> bytes:
    digest = claims.get(DIGEST_CLAIM)
    if not isinstance(digest, str) or len(digest) != DIGEST_LENGTH or not digest.isascii():
        raise AuthenticationFailed("signature_claims")
    # FusionAuth sends no times, so none is required; those in a token are checked.
    if not TIMES.isdisjoint(claims):
        _check_times({name: claims[name] for name in TIMES & claims.keys()}, now)
    return digest.encode()


def _check_times(times: dict[str, Any], now: float) -> None:
    for name, instant in times.items():
        if isinstance(instant, bool) or not isinstance(instant, int | float) or not abs(instant) <= MAX_INSTANT:
            raise AuthenticationFailed("signature_claims")
        if name == "exp" and now >= instant + LEEWAY_SECONDS:
            raise AuthenticationFailed("signature_expired")
        if name != "exp" and instant > now + LEEWAY_SECONDS:
            raise AuthenticationFailed("signature_not_yet_valid")


def _decode(part: bytes) -> bytes:
    """Decode base64url as RFC 7515 defines it: no padding, no other characters, only one spelling of the last one."""
    fill = len(part) % 4
    # The unused bits of the last character must be zero, so that no two spellings decode to the same bytes.
    if not part or part[-1] not in LAST_CHARACTERS[fill]:
        raise AuthenticationFailed("signature_malformed")
    try:
        return binascii.a2b_base64(part.translate(TO_STANDARD) + b"=" * (-fill % 4), strict_mode=True)
    except binascii.Error:
        raise AuthenticationFailed("signature_malformed") from None


def _json_object(text: bytes) -> dict[str, Any]:
    # The parser's own limit differs between Python versions: 3.13 accepts thousands of levels.
    if text.count(b"[") + text.count(b"{") > MOST_BRACKETS:
        raise AuthenticationFailed("signature_malformed")
    try:
        value = _JSON.decode(text.decode("utf-8"))
    except (ValueError, RecursionError):
        raise AuthenticationFailed("signature_malformed") from None
    if not isinstance(value, dict):
        raise AuthenticationFailed("signature_malformed")
    return value


def _no_constant(_: str) -> None:
    raise ValueError


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError
    return value


# Created once: json.loads() creates a decoder for each call, which takes longer than decoding.
_JSON = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_without_duplicates)
