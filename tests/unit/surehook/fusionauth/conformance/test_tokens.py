"""Tokens of the conformance cases: FusionAuth's own are valid, and the forged ones are not."""

import asyncio
import base64
import json

import pytest
from pydantic import SecretStr

from surehook.fusionauth.conformance.tokens import TokenKey, generate, unsigned
from surehook.fusionauth.simulator.signing_keys import ALGORITHMS
from surehook.ingest.auth.signature import Signatures, require_signed_body
from surehook.ingest.auth.signing_keys import SigningKey, keys_from_jwks, keys_from_secrets
from surehook.shared.errors import AuthenticationFailed
from tests.support.authentication import BODY


def verifying_keys(key: TokenKey) -> list[SigningKey]:
    if key.is_shared:
        return list(keys_from_secrets([SecretStr(key.private.decode())]))
    document = json.dumps({"keys": [key.public_jwk()]}).encode()
    return [found for keys in keys_from_jwks(document, ()).values() for found in keys]


def is_valid(key: TokenKey, token: str) -> bool:
    signatures = Signatures(verifying_keys(key))
    try:
        digest = asyncio.run(signatures.signed_digest([(b"x-fusionauth-signature-jwt", token.encode())]))
        require_signed_body(BODY, digest)
    except AuthenticationFailed:
        return False
    return True


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_kind_of_key_signs_its_own_body_alone(algorithm: str) -> None:
    secret = b"a-shared-secret-of-more-than-64-bytes-for-tests-only-0123456789-abcdef"
    key = TokenKey(algorithm, secret, "kid") if algorithm.startswith("HS") else generate(algorithm)

    assert is_valid(key, key.token(BODY))
    assert not is_valid(key, generate(algorithm).token(BODY, kid=key.kid))
    assert not is_valid(key, key.token(b"another body"))
    assert not is_valid(key, unsigned(BODY, "none", key.kid))


def test_an_edwards_key_signs_under_both_names() -> None:
    key = generate("Ed25519")

    assert is_valid(key, key.token(BODY, alg="EdDSA"))
    assert is_valid(key, key.token(BODY, alg="Ed25519"))


def test_a_header_parameter_of_none_is_left_out() -> None:
    part = TokenKey("HS256", b"a secret", "kid").token(BODY, kid=None).partition(".")[0]

    assert json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) == {"alg": "HS256", "typ": "JWT"}
