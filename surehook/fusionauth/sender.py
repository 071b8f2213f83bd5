"""The headers that FusionAuth would send with a body, according to the settings."""

import base64

from surehook.shared.settings import Settings


class Sender:
    """One webhook of FusionAuth.

    Raises:
        Misconfigured: deliveries must be signed and there is nothing to sign with.
    """

    def __init__(self, settings: Settings, signing_key: str | None = None, key_id: str | None = None) -> None:
        self._fixed = {"Content-Type": "application/json", **fixed_headers(settings)}
        self._signer = None
        if settings.is_signed or signing_key is not None:
            from surehook.fusionauth.signer import Signer  # noqa: PLC0415 - slow to import, and rarely needed

            self._signer = Signer(settings, signing_key, key_id)

    def headers(self, body: bytes) -> dict[bytes, bytes]:
        """Returns the headers for a body."""
        fixed = {name.encode(): value.encode() for name, value in self._fixed.items()}
        return fixed if self._signer is None else {**fixed, **self._signer.header(body)}


def fixed_headers(settings: Settings) -> dict[str, str]:
    """Returns the headers that are configured at the webhook."""
    return {**_authorization(settings), **_required(settings)}


def _authorization(settings: Settings) -> dict[str, str]:
    if settings.api_keys:
        return {"Authorization": settings.api_keys[0].get_secret_value()}
    if settings.basic_auth:
        pair = settings.basic_auth[0].get_secret_value().encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}


def _required(settings: Settings) -> dict[str, str]:
    """The first value of each header."""
    found: dict[str, str] = {}
    for header in settings.required_header:
        name, _, value = header.get_secret_value().partition(":")
        found.setdefault(name.strip().lower(), value.strip())
    return found
