"""The vault: bodies are sealed before they leave the ingest process, and opened where a handler is about to run.

A sealed body stands in the event record beside the fingerprint of its key, so that a worker without that key, and
whoever reads its log, can name the key without knowing it.
"""

from base64 import urlsafe_b64decode
from collections.abc import Sequence
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

from surehook.shared.errors import BodyDamaged, KeyMissing

FINGERPRINT_DIGITS = 12


class BodyCipher:
    """Holds Fernet keys, newest first. Without any, bodies are stored as they come."""

    def __init__(self, keys: Sequence[SecretStr] = ()) -> None:
        secrets = [key.get_secret_value() for key in keys]
        self.key_ids = tuple(fingerprint(secret) for secret in secrets)
        self._fernets = MultiFernet([Fernet(secret) for secret in secrets]) if secrets else None

    @property
    def newest(self) -> str:
        """The fingerprint of the key that seals; "" where nothing is sealed."""
        return self.key_ids[0] if self.key_ids else ""

    def opens(self, key_id: str) -> bool:
        """Whether a body under this fingerprint can be opened here; "" stands for a plain one."""
        return not key_id or key_id in self.key_ids

    def seal(self, body: bytes) -> tuple[bytes, str]:
        """The body to store, and the fingerprint to store beside it."""
        if self._fernets is None:
            return body, ""
        return self._fernets.encrypt(body), self.newest

    def open(self, body: bytes, key_id: str) -> bytes:
        """The body as it came.

        Raises:
            KeyMissing: its key is not here.
            BodyDamaged: its key is here and does not open it.
        """
        if not key_id:
            return body
        if self._fernets is None or key_id not in self.key_ids:
            raise KeyMissing(key_id)
        try:
            return self._fernets.decrypt(body)
        except InvalidToken:
            raise BodyDamaged(f"the stored body was changed: key {key_id} does not open it") from None


def fingerprint(key: str) -> str:
    """A name for a key that tells nothing of it: the key is 32 random bytes, so nobody can guess their way back."""
    return sha256(b"surehook encryption key\0" + urlsafe_b64decode(key)).hexdigest()[:FINGERPRINT_DIGITS]
