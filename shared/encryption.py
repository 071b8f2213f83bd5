"""Encryption of event bodies, from the ingest process until a handler runs.

The event record holds the fingerprint of the key beside the encrypted body, so that a worker without that key can name
it in its log.
"""

from base64 import urlsafe_b64decode
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from pydantic import SecretStr

from surehook.shared.errors import BodyDamaged, KeyMissing

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

FINGERPRINT_DIGITS = 12


class BodyCipher:
    """Encrypts and decrypts with Fernet keys, newest first. Without keys, bodies are stored as they come."""

    def __init__(self, keys: Sequence[SecretStr] = ()) -> None:
        secrets = [key.get_secret_value() for key in keys]
        self.key_ids = tuple(fingerprint(secret) for secret in secrets)
        self._fernets = _fernets(secrets) if secrets else None

    @property
    def newest_key_id(self) -> str:
        """The fingerprint of the key that encrypts; "" without keys."""
        return self.key_ids[0] if self.key_ids else ""

    def has_key(self, key_id: str) -> bool:
        """Says whether a body with this fingerprint can be decrypted here; "" stands for a plain body."""
        return not key_id or key_id in self.key_ids

    def encrypt(self, body: bytes) -> tuple[bytes, str]:
        """Returns the body to store and the fingerprint to store beside it."""
        if self._fernets is None:
            return body, ""
        return self._fernets.encrypt(body), self.newest_key_id

    def decrypt(self, body: bytes, key_id: str) -> bytes:
        """Returns the original body.

        Raises:
            KeyMissing: its key is not configured.
            BodyDamaged: its key is configured and does not decrypt it.
        """
        if not key_id:
            return body
        if self._fernets is None or key_id not in self.key_ids:
            raise KeyMissing(key_id)

        from cryptography.fernet import InvalidToken  # noqa: PLC0415 - loaded with the keys

        try:
            return self._fernets.decrypt(body)
        except InvalidToken:
            raise BodyDamaged(f"the stored body was changed: key {key_id} does not decrypt it") from None


def _fernets(secrets: Sequence[str]) -> "MultiFernet":
    from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415 - slow to import, and not needed without keys

    return MultiFernet([Fernet(secret) for secret in secrets])


def fingerprint(key: str) -> str:
    """Names a key without revealing it: the key is 32 random bytes, so its hash cannot be reversed by guessing."""
    return sha256(b"surehook encryption key\0" + urlsafe_b64decode(key)).hexdigest()[:FINGERPRINT_DIGITS]
