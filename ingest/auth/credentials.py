"""Authenticates deliveries by the configured credentials and signatures.

Each configured kind must pass; within a kind any of the configured values is enough, so that they can be rotated.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import chain

from pydantic import SecretStr

from surehook.ingest.auth.jwks import Jwks, fetch_from
from surehook.ingest.auth.signature import Signatures
from surehook.ingest.auth.signing_keys import keys_from_files, keys_from_secrets
from surehook.ingest.metrics import IngestMetrics
from surehook.shared.errors import AuthenticationFailed, Misconfigured
from surehook.shared.settings import Settings

BEARER = b"bearer"
BASIC = b"basic"

Headers = Iterable[tuple[bytes, bytes]]


class Waiting(Enum):
    """The result of `authenticate_now` when the decision needs keys that have yet to be fetched."""

    FOR_KEYS = 1


class Authenticator:
    """Authenticates a delivery by its headers, before a byte of its body is read."""

    def __init__(
        self,
        authorization: "Authorization | None" = None,
        required: Sequence["RequiredHeader"] = (),
        signatures: Signatures | None = None,
        jwks: Jwks | None = None,
    ) -> None:
        self._authorization = authorization
        self._required = required
        self._signatures = signatures
        self._jwks = jwks

    async def authenticate(self, headers: Headers) -> bytes | None:
        """Authenticate, and return the digest that the body must have; None if deliveries are not signed.

        Raises:
            AuthenticationFailed: with the reason, which only the log and the metrics see.
        """
        self._check_credentials(headers)
        return None if self._signatures is None else await self._signatures.signed_digest(headers)

    def authenticate_now(self, headers: Headers) -> bytes | Waiting | None:
        """Authenticate without waiting, which is nearly always possible.

        Raises:
            AuthenticationFailed: with the reason, which only the log and the metrics see.
        """
        self._check_credentials(headers)
        if self._signatures is None:
            return None
        checking = self._signatures.signed_digest(headers)
        try:
            checking.send(None)
        except StopIteration as done:
            digest: bytes | None = done.value
            return digest
        checking.close()
        return Waiting.FOR_KEYS

    def _check_credentials(self, headers: Headers) -> None:
        if self._authorization is not None and not self._authorization.accepts(headers):
            raise AuthenticationFailed("not_authorized")
        for header in self._required:
            if not header.accepts(headers):
                raise AuthenticationFailed("required_header")

    @property
    def is_ready(self) -> bool:
        return self._jwks is None or self._jwks.is_ready

    async def run(self) -> None:
        """Refresh the published keys until cancelled."""
        if self._jwks is not None:
            await self._jwks.run()


class Authorization:
    """Checks `Authorization`: an API key (raw, as in FusionAuth's example, or `Bearer KEY`) or a Basic pair."""

    def __init__(self, keys: Sequence[SecretStr], pairs: Sequence[SecretStr] = ()) -> None:
        self._keys = _digests(keys)
        self._pairs = [_digest(base64.b64encode(pair.get_secret_value().encode())) for pair in pairs]

    def accepts(self, headers: Headers) -> bool:
        given = [value for name, value in headers if name == b"authorization"]
        if len(given) != 1:
            return False
        value = given[0].strip()
        scheme, _, rest = value.partition(b" ")
        scheme = scheme.lower()
        if scheme == BASIC:
            # Compared in encoded form: it has only one valid spelling, so no untrusted input is decoded.
            return _is_among(rest.strip(), self._pairs)
        return _is_among(rest.strip() if scheme == BEARER else value, self._keys)


class RequiredHeader:
    """Checks a header of the operator's choice: it must have one of the configured values."""

    def __init__(self, name: str, values: Sequence[SecretStr]) -> None:
        self._name = name.lower().encode()
        self._values = _digests(values)

    def accepts(self, headers: Headers) -> bool:
        given = [value for name, value in headers if name == self._name]
        return len(given) == 1 and _is_among(given[0].strip(), self._values)


def authenticator_from(settings: Settings, metrics: IngestMetrics) -> Authenticator:
    """Create the authenticator that the settings describe.

    Raises:
        Misconfigured: no authentication is configured or explicitly disabled, or a key is invalid.
    """
    if not settings.requires_authentication and not settings.allow_unauthenticated:
        raise Misconfigured(
            "SUREHOOK_API_KEYS is not set: any client could send events. Set it to a long random key and give "
            "FusionAuth the same one as the webhook's Authorization header, or let FusionAuth sign and set "
            "SUREHOOK_SIGNING_SECRETS, SUREHOOK_SIGNING_PUBLIC_KEYS or SUREHOOK_JWKS_URL (or set "
            "SUREHOOK_ALLOW_UNAUTHENTICATED=true for a test)"
        )
    is_authorized = settings.api_keys or settings.basic_auth
    authorization = Authorization(settings.api_keys, settings.basic_auth) if is_authorized else None
    required = _required_headers(settings.required_header)
    if not settings.is_signed:
        return Authenticator(authorization, required)
    keys = list(chain(keys_from_secrets(settings.signing_secrets), keys_from_files(settings.signing_public_keys)))
    pinned = settings.signing_key_ids
    jwks = None
    if settings.jwks_url is not None:
        jwks = Jwks(fetch_from(settings.jwks_url), metrics, pinned=pinned, is_only_source=not keys)
    return Authenticator(authorization, required, Signatures(keys, jwks, pinned), jwks)


def _required_headers(given: Sequence[SecretStr]) -> list[RequiredHeader]:
    """One checker for each name: every name is required, with any of its values."""
    values: dict[str, list[SecretStr]] = {}
    for header in given:
        name, _, value = header.get_secret_value().partition(":")
        values.setdefault(name.strip().lower(), []).append(SecretStr(value.strip()))
    return [RequiredHeader(name, wanted) for name, wanted in values.items()]


def _digests(secrets: Sequence[SecretStr]) -> list[bytes]:
    return [_digest(secret.get_secret_value().encode()) for secret in secrets]


def _digest(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()


def _is_among(given: bytes, known: Sequence[bytes]) -> bool:
    """Compare with every value, by digest, so that the time taken reveals nothing about a secret or its length."""
    digest = _digest(given)
    matches = [hmac.compare_digest(digest, each) for each in known]
    return any(matches)
