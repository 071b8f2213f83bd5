"""Ed25519 keys of small order: a signature that fits every message exists for each, so none may be used."""

import json
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from harness.signing import b64url, signer
from surehook.ingest.auth.signing_keys import keys_from_files, keys_from_jwks
from surehook.shared.errors import Misconfigured

PRIME = 2**255 - 19
# The y coordinates of the eight points, and those that a decoder reads as the same because they exceed the prime.
CANONICAL = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
)
BEYOND_THE_PRIME = (
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
)


def with_both_signs(encoded: str) -> list[bytes]:
    raw = bytearray.fromhex(encoded)
    return [bytes(raw), bytes([*raw[:-1], raw[-1] | 0x80])]


POINTS = [point for encoded in (*CANONICAL, *BEYOND_THE_PRIME) for point in with_both_signs(encoded)]


@pytest.mark.parametrize("point", POINTS, ids=bytes.hex)
def test_a_key_of_small_order_is_refused_from_every_source(point: bytes, tmp_path: Path) -> None:
    entry = signer("Ed25519").jwk(x=b64url(point))
    key = Ed25519PublicKey.from_public_bytes(point)
    (tmp_path / "key.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    with pytest.raises(ValueError, match="no usable key"):
        keys_from_jwks(json.dumps({"keys": [entry]}).encode(), ())
    with pytest.raises(Misconfigured, match="an Ed25519 key of small order"):
        list(keys_from_files([str(tmp_path / "key.pem")]))


def test_a_signature_without_a_private_key_fits_such_a_key() -> None:
    """Shows the danger: the neutral point as key and as commitment, and zero as the response."""
    neutral = bytes.fromhex(CANONICAL[1])

    try:
        Ed25519PublicKey.from_public_bytes(neutral).verify(neutral + bytes(32), b"any message")
    except InvalidSignature:
        pytest.fail("this OpenSSL refuses such keys by itself")


def test_an_ordinary_key_is_not_of_small_order() -> None:
    document = json.dumps({"keys": [signer("Ed25519").jwk()]}).encode()

    assert list(keys_from_jwks(document, ())) == ["the-key"]
