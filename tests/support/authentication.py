"""The receiver's side of a signature: the keys it has, and how it judges a token."""

import asyncio
import json
from typing import Any

from pydantic import SecretStr

from harness.signing import SIGNATURE, Signer, signer
from surehook.ingest.auth.signature import Signatures, require_signed_body
from surehook.ingest.auth.signing_keys import SigningKey, keys_from_jwks, keys_from_secrets
from surehook.shared.errors import AuthenticationFailed

NOW = 1_700_000_000.0
BODY = b'{"event": {"type": "user.delete"}}'
HS, RS, ES = signer("HS256"), signer("RS256"), signer("ES256")


def keys_of(*signers: Signer) -> list[SigningKey]:
    """Returns the keys with which the receiver verifies these signers."""
    shared = [each.key.decode() for each in signers if isinstance(each.key, bytes)]
    public = [each for each in signers if not isinstance(each.key, bytes)]
    document = json.dumps({"keys": [each.jwk(alg=None, kid="any") for each in public]}).encode()
    published = keys_from_jwks(document, ()) if public else {}
    return [
        *keys_from_secrets([SecretStr(secret) for secret in shared]),
        *(key for keys in published.values() for key in keys),
    ]


def refusal_of(token: str | bytes, *signers: Signer, body: bytes = BODY, **options: Any) -> str | None:
    value = token.encode() if isinstance(token, str) else token
    signatures = Signatures(keys_of(*(signers or (HS, RS, ES))), clock=lambda: NOW, **options)
    try:
        digest = asyncio.run(signatures.signed_digest([(SIGNATURE.lower().encode(), value)]))
        require_signed_body(body, digest)
    except AuthenticationFailed as exc:
        return str(exc)
    return None
