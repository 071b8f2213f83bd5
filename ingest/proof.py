"""Proof that a delivery is genuine, from its headers alone, before a byte of its body is read."""

import hmac
from collections.abc import Iterable, Sequence

from pydantic import SecretStr

from shared.errors import Misconfigured
from shared.settings import Settings

BEARER = b"bearer "


class ApiKeys:
    """`Authorization` is one of the configured keys: raw, as in FusionAuth's own example, or as `Bearer KEY`."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        self._keys = [key.get_secret_value().encode() for key in keys]

    def are_proven_by(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        given = [value for name, value in headers if name == b"authorization"]
        if len(given) != 1:
            return False
        key = given[0].strip()
        if key[: len(BEARER)].lower() == BEARER:
            key = key[len(BEARER) :].strip()
        # Every key is compared, and all of it, so that the time taken tells nothing.
        matches = [hmac.compare_digest(key, known) for known in self._keys]
        return any(matches)


class NoProof:
    """Everybody is let in: only with SUREHOOK_ALLOW_UNAUTHENTICATED=true."""

    def are_proven_by(self, _: Iterable[tuple[bytes, bytes]]) -> bool:
        return True


def proof_from(settings: Settings) -> ApiKeys | NoProof:
    """What the settings ask of a delivery.

    Raises:
        Misconfigured: nothing is asked, and nobody said that this is meant.
    """
    if settings.api_keys:
        return ApiKeys(settings.api_keys)
    if settings.allow_unauthenticated:
        return NoProof()
    raise Misconfigured(
        "SUREHOOK_API_KEYS is not set: anybody could send events. Set it to a long random key and give FusionAuth the "
        "same one as the webhook's Authorization header (or set SUREHOOK_ALLOW_UNAUTHENTICATED=true for a test)"
    )
