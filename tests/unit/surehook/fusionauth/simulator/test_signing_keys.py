"""Our endpoint accepts what the simulated FusionAuth signs, with every kind of key."""

import warnings

import pytest
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import OctKey, import_key

from surehook.fusionauth.simulator.quirks import Quirks
from surehook.fusionauth.simulator.signing_keys import ALGORITHMS, SimulatedKey, generate_key
from surehook.ingest.auth.signature import DIGEST_CLAIM, HEADER

NOW = 1_790_000_000_000


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_signature_verifies_with_the_published_key_or_the_secret(algorithm: str) -> None:
    key = generate_key(algorithm, now_ms=NOW)

    name, token = key.signature_header(b'{"event":{}}', Quirks())

    assert name.lower() == HEADER.decode().lower()
    header, claims = decoded(token, key)
    assert header["kid"] == key.json["kid"]
    assert set(claims) == {DIGEST_CLAIM}


def decoded(token: str, key: SimulatedKey) -> tuple[dict[str, object], dict[str, object]]:
    published = key.public_jwk()
    if published is None:
        verifier: object = OctKey.import_key(key.secret or "")
    else:
        verifier = import_key({name: value for name, value in published.items() if name != "alg"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        found = jwt.decode(token, verifier, algorithms=[*ALGORITHMS, "EdDSA"])  # type: ignore[arg-type]
    return found.header, found.claims


def test_the_switches_change_the_tokens_header() -> None:
    edwards, secret = generate_key("Ed25519", now_ms=NOW), generate_key("HS256", now_ms=NOW)
    quirks = Quirks(edwards_algorithm="Ed25519", hmac_has_key_id=False)

    assert decoded(edwards.signature_header(b"", Quirks())[1], edwards)[0]["alg"] == "EdDSA"
    assert decoded(edwards.signature_header(b"", quirks)[1], edwards)[0]["alg"] == "Ed25519"
    assert "kid" not in decoded(secret.signature_header(b"", quirks)[1], secret)[0]


def test_an_odd_key_is_refused() -> None:
    with pytest.raises(ValueError, match="no such algorithm"):
        generate_key("none", now_ms=NOW)
    with pytest.raises(ValueError, match="has no secret"):
        generate_key("RS256", now_ms=NOW, secret="x")
