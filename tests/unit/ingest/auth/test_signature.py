"""Signatures by table: valid ones from FusionAuth, and misuse of keys, claims and clocks."""

import asyncio
import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from harness.signing import ALGORITHMS, SIGNATURE, b64url, signer
from surehook.ingest.auth.signature import Signatures
from surehook.ingest.auth.signing_keys import keys_from_files
from surehook.shared.errors import AuthenticationFailed
from tests.support.authentication import BODY, HS, NOW, RS, refusal_of


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("kid", ["the-key", None])
def test_every_algorithm_of_fusionauth_is_accepted(algorithm: str, kid: str | None) -> None:
    ours = signer(algorithm, kid)

    assert refusal_of(ours.token(BODY), signer(algorithm)) is None
    assert refusal_of(ours.token(BODY), signer(algorithm), body=BODY + b" ") == "signature_of_another_body"
    assert refusal_of(ours.token(BODY), signer(algorithm, number=1)) == "signature_wrong"


@pytest.mark.parametrize("given", ALGORITHMS)
@pytest.mark.parametrize("held", ["HS256", "RS256", "ES256", "ES384", "Ed25519"])
def test_a_key_verifies_only_algorithms_of_its_kind(given: str, held: str) -> None:
    def kind(algorithm: str) -> str:
        return algorithm if algorithm.startswith("ES") else algorithm[:2]

    is_fitting = kind(given) == kind(held)

    assert refusal_of(signer(given).token(BODY), signer(held)) == (None if is_fitting else "signature_algorithm")


def forged(header: dict[str, Any], secret: bytes) -> str:
    message = f"{b64url(json.dumps(header).encode())}.{RS.token(BODY).split('.')[1]}"
    return f"{message}.{b64url(hmac.new(secret, message.encode(), hashlib.sha256).digest())}"


@pytest.mark.parametrize("secret", [RS.public_pem(), RS.public_pem().strip(), json.dumps(RS.jwk())])
def test_a_public_key_does_not_verify_as_a_secret(secret: str) -> None:
    token = forged({"alg": "HS256", "kid": "the-key"}, secret.encode())

    assert refusal_of(token, RS) == "signature_algorithm"
    assert refusal_of(token, RS, HS) == "signature_wrong"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "hs256", "Hs256", "PS256", "ES256K", "Ed448", "HS1",
                                       "RSA-OAEP", "HS256 ", "rs256"])  # fmt: skip
def test_other_algorithms_are_refused(algorithm: str) -> None:
    _, claims, signature = HS.token(BODY, header={"alg": algorithm, "typ": "JWT"}).split(".")
    header = b64url(json.dumps({"alg": algorithm}).encode())

    assert refusal_of(f"{header}.{claims}.{signature}") == "signature_algorithm"
    assert refusal_of(f"{header}.{claims}.") == "signature_malformed"
    assert refusal_of(f"{header}.{claims}.{b64url(b'x')}") == "signature_algorithm"


DIGEST = hashlib.sha256(BODY).digest()
STANDARD = base64.b64encode(DIGEST).decode()


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        pytest.param({}, "signature_claims", id="no digest"),
        pytest.param({"request_body_sha256": None}, "signature_claims", id="null"),
        pytest.param({"request_body_sha256": [STANDARD]}, "signature_claims", id="a list"),
        pytest.param({"request_body_sha256": DIGEST.hex()}, "signature_claims", id="hex"),
        pytest.param({"request_body_sha256": STANDARD.rstrip("=")}, "signature_claims", id="unpadded"),
        pytest.param({"request_body_sha256": STANDARD + "="}, "signature_claims", id="padded twice"),
        pytest.param({"request_body_sha256": "é" * 44}, "signature_claims", id="no ASCII"),
        pytest.param({"request_body_sha256": "\ud800" * 44}, "signature_claims", id="lone surrogates"),
        pytest.param({"Request_Body_SHA256": STANDARD}, "signature_claims", id="another name"),
        pytest.param([STANDARD], "signature_malformed", id="claims are a list"),
        pytest.param("x", "signature_malformed", id="claims are a string"),
        pytest.param(b"{}{}", "signature_malformed", id="claims are no JSON"),
        pytest.param(b"[" * 3000, "signature_malformed", id="claims are nested deeply"),
        pytest.param(b'{"request_body_sha256":"x","request_body_sha256":"y"}', "signature_malformed", id="twice"),
    ],
)
def test_claims_without_a_valid_digest_are_refused(claims: Any, reason: str) -> None:
    assert refusal_of(HS.seal(HS.header(), claims)) == reason


def test_the_digest_is_base64_of_the_standard_alphabet() -> None:
    body = next(b"%d" % n for n in range(1000) if b"/" in base64.b64encode(hashlib.sha256(b"%d" % n).digest()))
    claim = base64.b64encode(hashlib.sha256(body).digest()).decode()
    other = claim.replace("/", "_").replace("+", "-")

    assert refusal_of(HS.seal(HS.header(), {"request_body_sha256": claim}), body=body) is None
    assert refusal_of(HS.seal(HS.header(), {"request_body_sha256": other}), body=body) == "signature_of_another_body"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        pytest.param({"exp": NOW + 1}, None, id="valid for a second"),
        pytest.param({"exp": NOW - 59}, None, id="expired within the leeway"),
        pytest.param({"exp": NOW - 60}, "signature_expired", id="expired"),
        pytest.param({"exp": 0}, "signature_expired", id="expired in 1970"),
        pytest.param({"exp": NOW - 60.5}, "signature_expired", id="expired, a float"),
        pytest.param({"exp": -1e308}, "signature_claims", id="exp is far in the past"),
        pytest.param({"exp": str(int(NOW + 60))}, "signature_claims", id="exp is a string"),
        pytest.param({"exp": True}, "signature_claims", id="exp is true"),
        pytest.param({"exp": None}, "signature_claims", id="exp is null"),
        pytest.param({"exp": 253402300799}, None, id="exp is far away"),
        pytest.param({"exp": 10**400}, "signature_claims", id="exp is beyond a float"),
        pytest.param({"nbf": NOW + 60}, None, id="begins within the leeway"),
        pytest.param({"nbf": NOW + 61}, "signature_not_yet_valid", id="begins later"),
        pytest.param({"iat": NOW + 60}, None, id="issued within the leeway"),
        pytest.param({"iat": NOW + 61}, "signature_not_yet_valid", id="issued tomorrow"),
        pytest.param({"iat": 0, "nbf": 0, "iss": 7, "aud": [], "jti": None}, None, id="others are not looked at"),
    ],
)
def test_times_in_a_token_are_checked(claims: dict[str, Any], reason: str | None) -> None:
    assert refusal_of(HS.token(BODY, **claims)) == reason


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"1e999", b"9" * 5000])
def test_a_time_that_is_no_number_is_refused(number: bytes) -> None:
    claims = b'{"request_body_sha256":"%s","exp":%s}' % (STANDARD.encode(), number)

    assert refusal_of(HS.seal(HS.header(), claims)) in ("signature_malformed", "signature_claims")


@pytest.mark.parametrize(
    ("kid", "reason"), [("the-key", None), ("new", None), ("other", "signature_key"), (None, None)]
)
def test_a_key_that_is_not_pinned_is_refused(kid: str | None, reason: str | None) -> None:
    assert refusal_of(signer("HS256", kid).token(BODY), pinned=("the-key", "new")) == reason


def test_the_documented_sample_is_parsed_as_documented(tmp_path: Path) -> None:
    """FusionAuth's own sample, from its documentation of signing; its body and key were not published."""
    token = (
        "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6Il9IMDd3VkcxZlYzbDVpaDc0ck54SUMzbmV2RSJ9."
        "eyJyZXF1ZXN0X2JvZHlfc2hhMjU2IjoiS2VWKy9IR29JUXJ4dUU1WVBDUlI2QXVRT0p2ZWxkWU5OaGJWaTFpMjJxaz0ifQ."
        + RS.token(BODY).split(".")[2]
    )
    (tmp_path / "key.pem").write_text(RS.public_pem())
    signatures = Signatures(list(keys_from_files([str(tmp_path / "key.pem")])))

    with pytest.raises(AuthenticationFailed, match="signature_wrong"):  # read up to its signature, which is ours
        asyncio.run(signatures.signed_digest([(SIGNATURE.lower().encode(), token.encode())]))
