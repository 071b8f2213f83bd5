"""The kinds of authentication to measure: the endpoint's settings, and the headers of its requests."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.signing import SECRET, SIGNATURE, signer
from harness.stack import API_KEY

BASIC_PAIR = "fusionauth:a-password-for-tests-only"
REQUIRED_HEADER = "X-Webhook-Secret: a-header-for-tests-only"


@dataclass(frozen=True, slots=True)
class AuthKind:
    """`headers` returns header lines for a body; `environ` returns settings, with its keys in a folder."""

    headers: Callable[[bytes], str]
    environ: Callable[[Path], Mapping[str, str]] = lambda _: {}


def _api_key(_: bytes) -> str:
    return f"Authorization: {API_KEY}\r\n"


def _basic(_: bytes) -> str:
    return f"Authorization: Basic {base64.b64encode(BASIC_PAIR.encode()).decode()}\r\n"


def _token(algorithm: str, body: bytes) -> str:
    return f"{SIGNATURE}: {signer(algorithm).token(body)}\r\n"


def _signing_secret(_: Path) -> Mapping[str, str]:
    return {"SUREHOOK_SIGNING_SECRETS": SECRET}


def _public_key(algorithm: str, folder: Path) -> Mapping[str, str]:
    file = folder / f"{algorithm}.pem"
    file.write_text(signer(algorithm).public_pem())
    return {"SUREHOOK_SIGNING_PUBLIC_KEYS": str(file)}


def _signed(algorithm: str) -> AuthKind:
    settings = _signing_secret if algorithm.startswith("HS") else partial(_public_key, algorithm)
    return AuthKind(partial(_token, algorithm), settings)


def _both(algorithm: str) -> AuthKind:
    signed = _signed(algorithm)
    return AuthKind(
        lambda body: _api_key(body) + signed.headers(body),
        lambda folder: {**signed.environ(folder), "SUREHOOK_API_KEYS": API_KEY},
    )


# Every benchmark but `authentication` uses the first.
KINDS: dict[str, AuthKind] = {
    "API key": AuthKind(_api_key, lambda _: {"SUREHOOK_API_KEYS": API_KEY}),
    "none": AuthKind(lambda _: "", lambda _: {"SUREHOOK_ALLOW_UNAUTHENTICATED": "true"}),
    "Basic": AuthKind(_basic, lambda _: {"SUREHOOK_BASIC_AUTH": BASIC_PAIR}),
    "required header": AuthKind(
        lambda _: f"{REQUIRED_HEADER}\r\n", lambda _: {"SUREHOOK_REQUIRED_HEADER": REQUIRED_HEADER}
    ),
    "HS256": _signed("HS256"),
    "RS256": _signed("RS256"),
    "ES256": _signed("ES256"),
    "EdDSA": _signed("EdDSA"),
    "API key and HS256": _both("HS256"),
    "API key and RS256": _both("RS256"),
}
