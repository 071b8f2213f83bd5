"""Token formats by table: malformed tokens are refused even with a valid signature."""

import asyncio
import base64
import binascii
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.signing import ALGORITHMS, PUBLIC_ALGORITHMS, SECRET, SIGNATURE, b64url, digest_of, signer
from surehook.ingest.auth.signature import ALPHABET, Signatures, _decode
from surehook.shared.errors import AuthenticationFailed
from tests.support.authentication import BODY, HS, NOW, keys_of, refusal_of

HEADERS = {
    "no alg": {"typ": "JWT"},
    "alg is null": {"alg": None},
    "alg is a number": {"alg": 256},
    "alg is a list": {"alg": ["HS256"]},
    "kid is a number": {"alg": "HS256", "kid": 7},
    "kid is a list": {"alg": "HS256", "kid": ["the-key"]},
    "kid is empty": {"alg": "HS256", "kid": ""},
    "kid is endless": {"alg": "HS256", "kid": "k" * 257},
    "crit": {"alg": "HS256", "crit": ["b64"]},
    "crit is empty": {"alg": "HS256", "crit": []},
    "b64 is false": {"alg": "HS256", "b64": False, "crit": ["b64"]},
    "b64 without crit": {"alg": "HS256", "b64": False},
    "b64 is true": {"alg": "HS256", "b64": True},
    "jku": {"alg": "HS256", "jku": "https://evil.example/jwks.json"},
    "x5u": {"alg": "RS256", "x5u": "https://evil.example/cert.pem"},
    "x5c": {"alg": "RS256", "x5c": ["MIIB"]},
    "its own key": {"alg": "HS256", "jwk": {"kty": "oct", "k": b64url(SECRET.encode())}},
    "a list": ["HS256"],
    "a string": "HS256",
    "null": None,
    "alg twice": b'{"alg":"HS256","alg":"HS256"}',
    "alg twice, by an escape": b'{"alg":"HS256","\\u0061lg":"none"}',
    "no JSON": b"{alg: HS256}",
    "NaN inside": b'{"alg":"HS256","n":NaN}',
    "nested deeply": b'{"alg":"HS256","n":' + b"[" * 2000 + b"]" * 2000 + b"}",
    "nested 100 levels deep": b'{"alg":"HS256","n":' + b"[" * 100 + b"]" * 100 + b"}",
    "a byte order mark": b'\xef\xbb\xbf{"alg":"HS256"}',
    "UTF-16": '{"alg":"HS256"}'.encode("utf-16"),
    "bad UTF-8": b'{"alg":"HS256","x":"\xff"}',
    "more behind it": b'{"alg":"HS256"} {}',
    "a number of 5000 digits": b'{"alg":"HS256","n":' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("name", HEADERS)
def test_an_invalid_header_is_refused_despite_a_valid_signature(name: str) -> None:
    token = HS.seal(HEADERS[name], {"request_body_sha256": digest_of(BODY)})

    assert refusal_of(token) == "signature_malformed"


@pytest.mark.parametrize("header", [{"typ": "at+jwt"}, {"typ": 7}, {"cty": "JWT"}, {"x5t": "abc"}, {"new": {"a": []}}])
def test_other_header_parameters_are_ignored(header: dict[str, Any]) -> None:
    assert refusal_of(HS.token(BODY, header={"alg": "HS256", **header})) is None


GOOD = HS.token(BODY)
FIRST, SECOND, THIRD = GOOD.split(".")


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="empty"),
        pytest.param("..", id="two dots"),
        pytest.param(f"{FIRST}.{SECOND}", id="two parts"),
        pytest.param(f"{FIRST}.{SECOND}.", id="no signature"),
        pytest.param(f".{SECOND}.{THIRD}", id="no header"),
        pytest.param(f"{GOOD}.{THIRD}", id="four parts"),
        pytest.param(f"{GOOD}...", id="an encrypted token's five parts"),
        pytest.param(f"{GOOD}=", id="padded"),
        pytest.param(f"{FIRST}=.{SECOND}.{THIRD}", id="header padded"),
        pytest.param(f"{GOOD} ", id="a blank behind it"),
        pytest.param(f" {GOOD}", id="a blank before it"),
        pytest.param(f"{FIRST}.{SECOND}.{THIRD[:9]}\n{THIRD[9:]}", id="a newline inside"),
        pytest.param(f"Bearer {GOOD}", id="Bearer"),
        pytest.param(f'"{GOOD}"', id="quoted"),
        pytest.param(f"{GOOD},{GOOD}", id="two in one header"),
        pytest.param(GOOD.encode() + b"\xff", id="no ASCII"),
        pytest.param(f"{FIRST}.{SECOND}.{THIRD}é", id="an accent"),
        pytest.param(f"{'A' * 8192}.{SECOND}.{THIRD}", id="8 KiB and more"),
        pytest.param("A" * 65000, id="64 KiB"),
        pytest.param(json.dumps({"protected": FIRST, "payload": SECOND, "signature": THIRD}), id="JSON serialization"),
    ],
)
def test_other_formats_than_the_compact_one_are_refused(token: str | bytes) -> None:
    assert refusal_of(token) == "signature_malformed"


@pytest.mark.parametrize(("length", "reason"), [(3000, None), (8192, "signature_malformed")])
def test_the_size_limit_applies_to_valid_tokens_too(length: int, reason: str | None) -> None:
    assert refusal_of(HS.token(BODY, note="n" * length)) == reason


@given(st.one_of(st.binary(max_size=9), st.text(ALPHABET.decode() + "+/=\n ", max_size=9).map(str.encode)))
@example(b"AB")
@example(b"AAB")
@example(b"A")
@example(b"AA==")
@example(b"A+_A")
@example(b"A/-A")
@example(b"A****AAA")
@example(b"A====AAA")
def test_only_the_canonical_encoding_is_decoded(part: bytes) -> None:
    try:
        decoded = _decode(part)
    except AuthenticationFailed:
        decoded = None

    assert decoded == decoded_if_canonical(part)


def decoded_if_canonical(part: bytes) -> bytes | None:
    """Decode leniently, then compare with the encoding of the result."""
    try:
        decoded = base64.b64decode(part.translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(part) % 4))
    except binascii.Error:
        return None
    return decoded if part and b64url(decoded).encode() == part else None


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        pytest.param('{"request_body_sha256":"%s"}', None, id="as compact as FusionAuth writes it"),
        pytest.param(' { "request_body_sha256"\n:\t"%s" } ', None, id="as odd as JSON allows"),
        pytest.param('{"request_body_sha256":"%s","exp":1}', "signature_expired", id="with an end"),
        pytest.param('{"request_body_sha256":"%s"}{"exp":1}', "signature_malformed", id="more behind it"),
        pytest.param('{"request_body_sha256":"%s"}\n', None, id="a newline behind it"),
        pytest.param('{"request_body_sha256":"%s","request_body_sha256":"%s"}', "signature_malformed", id="twice"),
    ],
)
def test_claims_are_read_the_same_in_any_json_format(claims: str, reason: str | None) -> None:
    text = claims.replace("%s", digest_of(BODY)).encode()
    assert refusal_of(HS.seal({"alg": "HS256"}, text)) == reason
    other = claims.replace("%s", digest_of(b"another body")).encode()
    assert refusal_of(HS.seal({"alg": "HS256"}, other)) == (reason or "signature_of_another_body")


def test_the_token_must_be_present_exactly_once() -> None:
    name, value = SIGNATURE.lower().encode(), GOOD.encode()
    signatures = Signatures(keys_of(HS), clock=lambda: NOW)

    with pytest.raises(AuthenticationFailed, match="signature_missing"):
        asyncio.run(signatures.signed_digest([]))
    with pytest.raises(AuthenticationFailed, match="signature_malformed"):
        asyncio.run(signatures.signed_digest([(name, value), (name, value)]))


SIGNED = {algorithm: signer(algorithm).token(BODY) for algorithm in ALGORITHMS}


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(ALGORITHMS), st.integers(0, 2000), st.integers(0, 255), st.sampled_from(["change", "cut", "insert"])
)
def test_any_one_byte_change_of_a_token_is_refused(algorithm: str, place: int, byte: int, how: str) -> None:
    token = SIGNED[algorithm].encode()
    place %= len(token)
    middle = {"change": bytes([byte]), "cut": b"", "insert": bytes([byte]) + token[place : place + 1]}[how]
    changed = token[:place] + middle + token[place + 1 :]

    assert (refusal_of(changed, signer(algorithm)) is None) == (changed == token)


@pytest.mark.parametrize("algorithm", ["HS256", *PUBLIC_ALGORITHMS])
def test_no_other_spelling_of_the_last_character_is_accepted(algorithm: str) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/="
    parts = SIGNED[algorithm].split(".")
    for part in range(3):
        for other in alphabet.replace(parts[part][-1], ""):
            changed = [*parts[:part], parts[part][:-1] + other, *parts[part + 1 :]]
            assert refusal_of(".".join(changed), signer(algorithm)) is not None


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=300), st.integers(0, 300), st.integers(0, 7))
def test_any_one_bit_change_of_a_body_is_refused(body: bytes, place: int, bit: int) -> None:
    changed = bytearray(body)
    changed[place % len(body)] ^= 1 << bit

    assert refusal_of(HS.token(body), HS, body=body) is None
    assert refusal_of(HS.token(body), HS, body=bytes(changed)) == "signature_of_another_body"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet="eyJhbGciOiJIUzI1NiJ9.-_=", max_size=200).map(str.encode))
def test_garbage_raises_only_authentication_failed(token: bytes) -> None:
    assert refusal_of(token) is not None
