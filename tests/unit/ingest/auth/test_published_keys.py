"""Tokens signed with published keys: which are accepted, and the reasons for refusing the others."""

import asyncio

import pytest

from harness.signing import SIGNATURE, Signer, signer
from surehook.ingest.auth.signature import Signatures
from surehook.shared.errors import AuthenticationFailed
from tests.support.authentication import BODY
from tests.unit.ingest.auth.test_jwks import ONE, TWO, JwksServer


@pytest.mark.parametrize(
    ("given", "is_down", "reason"),
    [
        pytest.param(ONE, False, None, id="published"),
        pytest.param(TWO, False, "signature_key", id="not published"),
        pytest.param(signer("RS256", "one", number=1), False, "signature_wrong", id="another key of that name"),
        pytest.param(signer("RS384", "one"), False, "signature_wrong", id="another algorithm of that key"),
        pytest.param(signer("HS256", "one"), False, "signature_algorithm", id="a secret"),
        pytest.param(signer("RS256", None), False, "signature_key", id="no kid"),
        pytest.param(ONE, True, "signature_no_keys_yet", id="nothing was ever fetched"),
    ],
)
def test_a_token_names_one_of_the_published_keys(given: Signer, is_down: bool, reason: str | None) -> None:
    async def scenario() -> str | None:
        jwks_server = JwksServer(ONE)
        jwks_server.is_down = is_down
        signatures = Signatures([], jwks_server.jwks)
        try:
            await signatures.signed_digest([(SIGNATURE.lower().encode(), given.token(BODY).encode())])
        except AuthenticationFailed as exc:
            return str(exc)
        return None

    assert asyncio.run(scenario()) == reason
