"""Signing keys: which are accepted, and for which algorithms."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from pydantic import SecretStr

from harness.signing import PUBLIC_ALGORITHMS, SECRET, Signer, b64url, signer
from surehook.ingest.auth.credentials import authenticator_from
from surehook.ingest.auth.signing_keys import keys_from_files, keys_from_jwks, keys_from_secrets
from surehook.ingest.metrics import IngestMetrics
from surehook.shared.errors import Misconfigured
from surehook.shared.settings import Settings
from tests.unit.ingest.auth.test_credentials import secrets

WEAK = Signer("RS256", rsa.generate_private_key(65537, 1024))  # noqa: S505 - that is the point
OTHER_CURVE = Signer("ES256", ec.generate_private_key(ec.SECP256K1()))
RS, ES = signer("RS256"), signer("ES256")


def algorithms_of(document: Any, *pinned: str) -> dict[str, list[list[str]]]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return {kid: [sorted(key.algorithms) for key in keys] for kid, keys in keys_from_jwks(body, pinned).items()}


@pytest.mark.parametrize("algorithm", PUBLIC_ALGORITHMS)
def test_a_published_key_has_the_algorithms_of_its_entry(algorithm: str) -> None:
    expected = ["Ed25519", "EdDSA"] if algorithm.startswith("Ed") else [algorithm]

    assert algorithms_of({"keys": [signer(algorithm).jwk()]}) == {"the-key": [expected]}
    assert expected[0] in algorithms_of({"keys": [signer(algorithm).jwk(alg=None)]})["the-key"][0]


ENTRIES = {
    "no object": "RS256",
    "no kid": RS.jwk(kid=None),
    "a kid that is no word": RS.jwk(kid=7),
    "an endless kid": RS.jwk(kid="k" * 257),
    "for encryption": RS.jwk(use="enc"),
    "for wrapping": RS.jwk(key_ops=["wrapKey"]),
    "operations that are no list": RS.jwk(key_ops=7),
    "operations that are a word": RS.jwk(key_ops="verify"),
    "operations that contain a word": RS.jwk(key_ops="noverify"),
    "operations that are an object": RS.jwk(key_ops={"verify": True}),
    "no operation": RS.jwk(key_ops=[]),
    "a use that is a list": RS.jwk(use=["sig"]),
    "an exponent of one": RS.jwk(e=b64url(b"\x01")),
    "a secret": {"kid": "x", "kty": "oct", "alg": "HS256", "k": b64url(SECRET.encode())},
    "a private key": RS.jwk(d="AQAB"),
    "another kind's algorithm": RS.jwk(alg="ES256"),
    "an HMAC algorithm": RS.jwk(alg="HS256"),
    "an algorithm that is a list": RS.jwk(alg=["RS256"]),
    "too weak": WEAK.jwk(),
    "so strong that it would break us": RS.jwk(n=b64url(b"\xff" * 2048)),
    "no number": RS.jwk(n="*"),
    "an empty number": RS.jwk(n=""),
    "a number that is a list": RS.jwk(n=[1]),
    "no exponent": {name: value for name, value in RS.jwk().items() if name != "e"},
    "an even exponent": RS.jwk(e=b64url(b"\x02")),
    "a point off its curve": ES.jwk(x=b64url(b"\x01" * 32)),
    "another curve": ES.jwk(crv="secp256k1"),
    "no curve": ES.jwk(crv=None),
    "a curve that is an object": ES.jwk(crv={}),
    "a key to agree on keys": signer("Ed25519").jwk(crv="X25519"),
    "a point too short": signer("Ed25519").jwk(x="AAAA"),
    "a kind that nobody knows": RS.jwk(kty="new"),
    "a kind that is a list": RS.jwk(kty=["RSA"]),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_an_unusable_entry_does_not_affect_others(name: str) -> None:
    entry = ENTRIES[name]

    assert algorithms_of({"keys": [entry, ES.jwk(kid="good"), entry]}) == {"good": [["ES256"]]}
    with pytest.raises(ValueError, match="no usable key"):
        algorithms_of({"keys": [entry]})


@pytest.mark.parametrize("document", [b"", b"null", b"[]", b"{}", b"\xff", b"<html>", b"[" * 5000, b'{"keys": null}',
                                      b'{"keys": {}}', b'{"keys": []}', b'{"keys": "x"}'])  # fmt: skip
def test_an_invalid_jwks_raises_one_kind_of_error(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"no JWKS|no usable key"):
        algorithms_of(document)


def test_only_pinned_keys_are_kept() -> None:
    document = {"keys": [RS.jwk(kid="one"), ES.jwk(kid="two"), ES.jwk(kid="three")]}

    assert list(algorithms_of(document, "two", "four")) == ["two"]


def test_two_keys_with_one_id_are_both_kept() -> None:
    assert algorithms_of({"keys": [RS.jwk(), ES.jwk()]}) == {"the-key": [["RS256"], ["ES256"]]}


def test_a_file_may_contain_several_keys(tmp_path: Path) -> None:
    (tmp_path / "one.pem").write_text(f"# ours\n{RS.public_pem()}\n{ES.public_pem()}")
    (tmp_path / "two.pem").write_text(signer("EdDSA").public_pem())

    keys = list(keys_from_files([str(tmp_path / "one.pem"), str(tmp_path / "two.pem")]))

    assert [sorted(key.algorithms) for key in keys] == [["RS256", "RS384", "RS512"], ["ES256"], ["Ed25519", "EdDSA"]]


def pem_of(key: Any) -> str:
    return Signer("", key).public_pem()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(RS.private_pem(), "holds a private key; it stays with FusionAuth", id="a private key"),
        pytest.param(SECRET, "a shared secret belongs into SUREHOOK_SIGNING_SECRETS", id="a secret"),
        pytest.param("", "holds no PEM", id="empty"),
        pytest.param(
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "a PUBLIC KEY is", id="certificate"
        ),
        pytest.param(
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "no key that FusionAuth", id="no key"
        ),
        pytest.param(WEAK.public_pem(), "an RSA key of 1024 bits", id="weak"),
        pytest.param(OTHER_CURVE.public_pem(), "no key that FusionAuth signs with", id="another curve"),
        pytest.param(pem_of(ed448.Ed448PrivateKey.generate()), "no key that FusionAuth signs with", id="Ed448"),
        pytest.param(pem_of(x25519.X25519PrivateKey.generate()), "no key that FusionAuth signs with", id="X25519"),
        pytest.param(RS.public_pem() + RS.private_pem(), "holds a private key", id="a pair"),
    ],
)
def test_a_file_with_anything_else_is_a_readable_error(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(text)
    settings = Settings(signing_public_keys=(str(tmp_path / "key.pem"),))

    with pytest.raises(Misconfigured, match=f"SUREHOOK_SIGNING_PUBLIC_KEYS: .*key.pem.*{says}") as failure:
        authenticator_from(settings, IngestMetrics())

    assert not text or text.splitlines()[0] not in str(failure.value)


def test_a_missing_file_is_a_readable_error(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read: No such file"):
        list(keys_from_files([str(tmp_path / "none.pem")]))


def test_a_short_secret_is_accepted_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert len(list(keys_from_secrets(secrets("short", SECRET)))) == 2

    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "short" not in str(caplog.records[0].__dict__.get("variable"))


def test_an_ed25519_key_verifies_under_both_algorithm_names() -> None:
    assert isinstance(signer("EdDSA").key, ed25519.Ed25519PrivateKey)
    assert signer("EdDSA").key is signer("Ed25519").key


def test_a_key_is_not_shown() -> None:
    secret = "a-secret-that-is-as-long-as-its-hash"
    (key,) = keys_from_secrets([SecretStr(secret)])

    assert secret not in repr(key)
