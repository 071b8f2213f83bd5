"""Reads from options, or from our settings, where the receiver is and what it expects from FusionAuth."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from surehook.fusionauth.conformance.credentials import Credentials
from surehook.fusionauth.conformance.published_keys import PublishedKeys
from surehook.fusionauth.conformance.tokens import TokenKey
from surehook.fusionauth.own_endpoint import tls_trust
from surehook.fusionauth.sender import fixed_headers
from surehook.fusionauth.signer import key_in_file
from surehook.fusionauth.simulator.signing_keys import ALGORITHMS
from surehook.shared.errors import Misconfigured
from surehook.shared.files import read_text
from surehook.shared.settings import Settings
from surehook.shared.sources import reason

IN_FILE = "@"
# An HTTP header holds nothing else.
HEADER_ENCODING = "latin-1"
HEADER = "--header {}: expected NAME:VALUE, or @FILE with such a line"
BASIC = "--basic: expected USER:PASSWORD, or @FILE with such a line"


@dataclass(frozen=True, slots=True)
class Options:
    """The receiver as the command line describes it."""

    headers: Sequence[str] = ()
    basic: str = ""
    signing_key: str | None = None
    key_id: str | None = None
    algorithm: str | None = None


def checked_url(url: str) -> str:
    """Returns a URL that requests can be sent to.

    Raises:
        Misconfigured: it is none.
    """
    example = "expected one such as https://hooks.example.com/fusionauth-webhook"
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        parts.netloc.encode("idna")
    except ValueError as exc:  # a port that is no number, a broken IPv6 address, a host that is no name
        raise Misconfigured(f"URL: {example}") from exc
    if not is_url or not url.isascii() or any(character <= " " for character in url):
        raise Misconfigured(f"URL: {example}")
    if "@" in parts.netloc:
        raise Misconfigured(
            "URL: give the login with --basic USER:PASSWORD, as FusionAuth has it in a field of its own"
        )
    return url


def credentials_from(options: Options, keys: PublishedKeys | None) -> Credentials:
    """Returns the credentials of the command line.

    Raises:
        Misconfigured: an option cannot be used.
    """
    headers = dict(_header(given) for given in options.headers)
    basic = _text(options.basic, BASIC) if options.basic else ""
    if basic and ":" not in basic:
        raise Misconfigured(BASIC)
    return Credentials(headers, basic, _key(options, keys))


def credentials_of(settings: Settings, options: Options, keys: PublishedKeys | None) -> Credentials:
    """Returns the credentials that our own endpoint expects.

    Raises:
        Misconfigured: it expects signatures, and there is nothing to sign with.
    """
    headers, basic = fixed_headers(settings), ""
    if settings.basic_auth and not settings.api_keys:
        basic = settings.basic_auth[0].get_secret_value()
        headers = {name: value for name, value in headers.items() if name != "Authorization"}
    key = _key(options, keys)
    if key is None and settings.signing_secrets:
        secret = settings.signing_secrets[0].get_secret_value().encode()
        key = TokenKey("HS256", secret, next(iter(settings.signing_key_ids), None))
    if key is None and settings.is_signed:
        raise Misconfigured(
            "deliveries must be signed, and public keys cannot sign: give the private key with --signing-key FILE, or "
            "let the endpoint read its keys from here with --jwks ADDRESS"
        )
    return Credentials(headers, basic, key)


def trust(settings: Settings | None, *, is_own: bool) -> ssl.SSLContext | None:
    """Returns the certificates to trust, or None for the public authorities."""
    found = tls_trust(settings, is_own=is_own) if settings is not None else True
    return found if isinstance(found, ssl.SSLContext) else None


def _key(options: Options, keys: PublishedKeys | None) -> TokenKey | None:
    if keys is not None:
        return keys.keys["RS256"]
    if options.signing_key is None:
        return None
    private, usual = key_in_file(options.signing_key)
    algorithm = options.algorithm or usual
    if algorithm not in ALGORITHMS or algorithm[:2] != usual[:2]:
        raise Misconfigured(f"--signing-algorithm {algorithm}: the key is one for {usual}")
    return TokenKey(algorithm, private.raw_value if usual == "HS256" else private, options.key_id)


def _header(given: str) -> tuple[str, str]:
    name, separator, value = _text(given, HEADER.format("@FILE")).partition(":")
    name, value = name.strip(), value.strip()
    is_value = value.isprintable() and _is_encodable(value)
    if not separator or not value or not is_value or not name.isascii() or not name.replace("-", "").isalnum():
        raise Misconfigured(HEADER.format("…"))
    return name, value


def _is_encodable(value: str) -> bool:
    try:
        value.encode(HEADER_ENCODING)
    except UnicodeEncodeError:
        return False
    return True


def _text(given: str, expected: str) -> str:
    """Returns an option's value, or the line of the file that it names: a command line is no place for a secret."""
    if not given.startswith(IN_FILE):
        return given
    try:
        found = read_text(Path(given[len(IN_FILE) :])).strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise Misconfigured(f"{given[len(IN_FILE) :]} cannot be read: {reason(exc)}") from exc
    if not found or "\n" in found:
        raise Misconfigured(expected)
    return found
