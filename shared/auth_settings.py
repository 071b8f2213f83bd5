"""Settings of the authentication of deliveries and of TLS, and the checks of their values."""

import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr, model_validator

# Their files hold one value a line, and there a value may contain a comma.
SECRET_LISTS = ("api_keys", "basic_auth", "required_header", "signing_secrets")
SHORTEST_SECRET = 8  # characters, as NIST SP 800-63B demands of a password; a key should be 32 random bytes
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
    """Splits a text at its commas.

    Raises:
        ValueError: nothing is between them.
    """
    if not isinstance(value, str):
        return value
    parts = tuple(part.strip() for part in value.split(",") if part.strip())
    if not parts:
        raise ValueError("expected at least one value")
    return parts


def _split_secrets(value: Any) -> Any:
    """Splits like `split`, and takes an empty part for a comma that belongs to a secret."""
    if isinstance(value, str) and not all(part.strip() for part in value.split(",")):
        raise ValueError(
            "there is nothing before, between or after commas. Commas separate values; a value that contains one "
            "belongs in a file with one value a line, named by the variable that ends in _FILE"
        )
    return split(value)


def require_length(secret: str, what: str) -> None:
    """
    Raises:
        ValueError: it could be guessed.
    """
    if len(secret) < SHORTEST_SECRET:
        raise ValueError(f"{what} is too short: at least {SHORTEST_SECRET} characters, better 32 random ones")


def _require_long_keys(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for number, key in enumerate(value, 1):
        require_length(key.get_secret_value(), f"value {number}")
    return value


def _require_pairs(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for number, pair in enumerate(value, 1):
        name, _, password = pair.get_secret_value().partition(":")
        if not name or not password:
            raise ValueError("expected user:password, several separated by commas")
        require_length(password, f"the password of value {number}")
    return value


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
    return _require_long_keys(value)


def _require_jwks_url(value: str | None) -> str | None:
    url = urlsplit(value or "https://unset")
    if url.scheme not in ("https", "http") or not url.hostname or "@" in url.netloc or url.fragment:
        raise ValueError("expected an address such as https://auth.example.com/.well-known/jwks.json")
    return value


Words = Annotated[tuple[str, ...], BeforeValidator(split)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_split_secrets)]


class AuthSettings(BaseModel):
    """Each kind of credential that is set must pass; within a kind several values may be valid at the same time."""

    # Deferred: only the whole of the settings is ever validated, so this part alone need not be built.
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True, defer_build=True
    )

    api_keys: Annotated[Secrets, AfterValidator(_require_long_keys)] = ()
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
    def _require_secret_header(self) -> "AuthSettings":
        """Beside another kind a header may be a label, such as a team; alone it is the key."""
        is_alone = not (self.api_keys or self.basic_auth or self.is_signed)
        pairs = [header.get_secret_value().partition(":") for header in self.required_header]
        short = {name.strip().lower() for name, _, value in pairs if len(value.strip()) < SHORTEST_SECRET}
        if is_alone and pairs and {name.strip().lower() for name, *_ in pairs} <= short:
            raise ValueError(
                f"SUREHOOK_REQUIRED_HEADER is the only authentication, and a value is too short: at least "
                f"{SHORTEST_SECRET} characters, better 32 random ones"
            )
        return self

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
