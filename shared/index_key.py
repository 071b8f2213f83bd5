"""The key with which e-mail addresses in the index of closed events are hashed.

The installation makes it once, at random, and keeps it in the store. If bodies are encrypted, it is encrypted too: then
neither the store's administrator nor a thief of a backup can try addresses. `keys rotate` encrypts it with the newest
key. Addresses that were hashed with another key are not found any more.
"""

import secrets
from base64 import b64decode, b64encode

import redis

from surehook.shared.encryption import BodyCipher
from surehook.shared.errors import BodyDamaged, KeyMissing
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script

KEY_BYTES = 32


class IndexKey:
    """Reads the key, and makes it if there is none."""

    def __init__(self, store: redis.Redis, keys: Keys, cipher: BodyCipher) -> None:
        self._store = store
        self._keys = keys
        self._cipher = cipher

    def read(self) -> bytes:
        """
        Raises:
            KeyMissing: it is encrypted, and its key is not configured here.
            BodyDamaged: it was changed by hand.
        """
        stored: object = self._store.get(self._keys.index_key)
        if stored is None:
            made = self._sealed(secrets.token_bytes(KEY_BYTES))
            _, stored = Script("set_if_absent", self._keys).run(self._store, self._keys.index_key, made, 0)
        return self._opened(stored)

    def is_current(self) -> bool:
        """Says whether it is encrypted with the newest key, or does not exist yet."""
        stored: object = self._store.get(self._keys.index_key)
        return not isinstance(stored, bytes) or _key_id(stored) == self._cipher.newest_key_id

    def key_id(self) -> str:
        """Returns the fingerprint of the key that decrypts it; "" if it is not encrypted, or does not exist yet."""
        stored: object = self._store.get(self._keys.index_key)
        return _key_id(stored) if isinstance(stored, bytes) else ""

    def reencrypt(self) -> None:
        """Encrypts it with the newest key, unless another process has changed it since it was read.

        Raises:
            KeyMissing, BodyDamaged: as `read`.
        """
        stored: object = self._store.get(self._keys.index_key)
        if isinstance(stored, bytes):
            Script("replace_value", self._keys).run(
                self._store, self._keys.index_key, stored, self._sealed(self._opened(stored))
            )

    def _sealed(self, key: bytes) -> bytes:
        body, key_id = self._cipher.encrypt(b64encode(key))
        return key_id.encode() + b" " + body

    def _opened(self, stored: object) -> bytes:
        if not isinstance(stored, bytes):
            raise BodyDamaged("the key of the index is no string: it was changed by hand")
        key_id, _, body = stored.partition(b" ")
        found = b64decode(self._cipher.decrypt(body, key_id.decode("utf-8", "replace")))
        if len(found) != KEY_BYTES:
            raise BodyDamaged("the key of the index was changed by hand")
        return found


def read_or_none(key: IndexKey) -> bytes | None:
    try:
        return key.read()
    except (KeyMissing, BodyDamaged, ValueError):
        return None


def _key_id(stored: bytes) -> str:
    return stored.partition(b" ")[0].decode("utf-8", "replace")
