"""The tokens of the pages' forms, and the cookies: the same in every dashboard of an installation.

They are made from the key of the installation, which the store has (`index_key.py`), and the login. So they survive a
restart, and another dashboard behind the same balancer takes them; a new password ends them. Neither that key nor the
password is enough to make one.
"""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

from surehook.shared.settings import Settings

FORM_SECONDS = 86_400
# The key hashes e-mail addresses, too: by SHA-256, so none of those hashes is one of these.
_HASH = "sha512"
_LENGTH = 32


class Tokens:
    """Makes and checks them."""

    def __init__(self, settings: Settings, key: bytes) -> None:
        self._secrets = {"": _hmac(key, b"no login")}
        for login in (settings.dashboard_login, settings.dashboard_reader):
            if login is not None:
                given = login.get_secret_value()
                digest = sha256(given.encode("utf-8", "surrogateescape")).digest()
                self._secrets[given.partition(":")[0]] = _hmac(key, b"login " + digest)

    def cookie(self, user: str) -> str:
        """Says that this browser has used the login of this user."""
        return urlsafe_b64encode(_hmac(self._secrets[user], b"cookie")).decode().rstrip("=")

    def form(self, user: str, now: float) -> str:
        """The token of the user's forms. It is taken for a day at least, and two at most."""
        return self._form(user, int(now // FORM_SECONDS))

    def is_form(self, user: str, given: str, now: float) -> bool:
        day = int(now // FORM_SECONDS)
        right = [self._form(user, each) for each in (day - 1, day, day + 1)]  # another dashboard's clock may differ
        return any(hmac.compare_digest(given.encode("utf-8", "replace"), each.encode()) for each in right)

    def _form(self, user: str, day: int) -> str:
        return _hmac(self._secrets[user], b"form %d" % day).hex()


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, _HASH).digest()[:_LENGTH]
