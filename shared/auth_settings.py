"""Settings of the authentication of deliveries and of TLS, and the checks of their values."""

import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode

# Their files hold one value a line, and there a value may contain a comma.
SECRET_LISTS = ("API_KEYS", "BASIC_AUTH", "REQUIRED_HEADER", "SIGNING_SECRETS")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# HTTP or the endpoint gives these a meaning, so none can hold a credential.
RESERVED_HEADERS = (
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "transfer-encoding",
    "x-fusionauth-signature-jwt",
)
# PEM, ssh and certificate files begin like this; their lines are no secrets.
KEY_MARKS = ("-----", "ssh-rsa ", "ssh-ed25519 ", "ecdsa-sha2-")


def split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _require_pairs(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if all(all(pair.get_secret_value().partition(":")) for pair in value):
        return value
    raise ValueError("expected user:password, several separated by commas")


def _require_headers(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for header in value:
        name, _, wanted = (part.strip() for part in header.get_secret_value().partition(":"))
        if not wanted or not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise ValueError("expected Name: value, several separated by commas")
        if name.lower() in RESERVED_HEADERS:
            raise ValueError(f"{name} is a reserved header; choose another name, such as X-Webhook-Key")
    return value


def _require_shared_secrets(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if any(secret.get_secret_value().lstrip().startswith(KEY_MARKS) for secret in value):
        # A public key used as a secret would let anyone who knows it sign.
        raise ValueError("that is a key file, not a shared secret; public keys belong in SUREHOOK_SIGNING_PUBLIC_KEYS")
    return value


def _require_jwks_url(value: str | None) -> str | None:
    url = urlsplit(value or "https://unset")
    if url.scheme not in ("https", "http") or not url.hostname or "@" in url.netloc or url.fragment:
        raise ValueError("expected an address such as https://auth.example.com/.well-known/jwks.json")
    return value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(split)]


class AuthSettings(BaseSettings):
    """Each kind of credential that is set must pass; within a kind several values may be valid at the same time."""

    api_keys: Secrets = ()
    basic_auth: Annotated[Secrets, AfterValidator(_require_pairs)] = ()
    required_header: Annotated[Secrets, AfterValidator(_require_headers)] = ()
    signing_secrets: Annotated[Secrets, AfterValidator(_require_shared_secrets)] = ()
    signing_public_keys: Words = ()
    jwks_url: Annotated[str | None, AfterValidator(_require_jwks_url)] = None
    jwks_allow_http: bool = False
    signing_key_ids: Words = ()
    allow_unauthenticated: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None

    @property
    def is_signed(self) -> bool:
        """Says whether deliveries must be signed."""
        return bool(self.signing_secrets or self.signing_public_keys or self.jwks_url)

    @property
    def requires_authentication(self) -> bool:
        """Says whether deliveries must be authenticated in any way."""
        return bool(self.api_keys or self.basic_auth or self.required_header or self.is_signed)

    @model_validator(mode="after")
    def _require_secure_jwks_url(self) -> "AuthSettings":
        url = urlsplit(self.jwks_url or "https://unset")
        if url.scheme == "http" and url.hostname not in LOOPBACK and not self.jwks_allow_http:
            raise ValueError(
                f"SUREHOOK_JWKS_URL={self.jwks_url}: an attacker on the network could insert a key. Use https, "
                "or set SUREHOOK_JWKS_ALLOW_HTTP=true where that network is private"
            )
        return self

    @model_validator(mode="after")
    def _require_keys_for_pinned_ids(self) -> "AuthSettings":
        if self.signing_key_ids and not self.is_signed:
            raise ValueError(
                "SUREHOOK_SIGNING_KEY_IDS chooses among keys, but there are none: set SUREHOOK_JWKS_URL, "
                "SUREHOOK_SIGNING_PUBLIC_KEYS or SUREHOOK_SIGNING_SECRETS"
            )
        return self

    @model_validator(mode="after")
    def _require_certificate_with_key(self) -> "AuthSettings":
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("SUREHOOK_TLS_CERT and SUREHOOK_TLS_KEY belong together: set both or neither")
        return self
