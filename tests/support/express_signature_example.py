"""A reproduction of the example of FusionAuth's page on signed webhooks: Express, body-parser and jose.

The page links to it (docs, extend/events-and-webhooks/signing). It is not that program: it has its documented
behaviour, with the defaults of jose 4. Any content type is parsed as JSON, up to 50 MB. Keys come from FusionAuth's
JWKS, which is read anew after ten minutes, or for a key that it does not hold, but at most every 30 seconds. The
token's key is the one with its id, of the kind that its algorithm needs, and with the same `alg` if the JWKS names
one. A token that is not valid, or whose digest is not that of the raw body, is answered 401. The event is not
looked at.
"""

import base64
import contextlib
import hashlib
import json
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import JWKRegistry

from tests.support.express_example import Example, Server

PATH = "/webhook"
LIMIT = 50 * 1024 * 1024
MAX_AGE_SECONDS, COOLDOWN_SECONDS = 600, 30
KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
ALGORITHMS = {f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)} | {"EdDSA"}


class RemoteKeys:
    """The JWKS of an address, as jose keeps it."""

    def __init__(self, url: str) -> None:
        self._url, self._keys, self._read_at = url, list[Any](), -float(MAX_AGE_SECONDS)
        self._lock = threading.Lock()

    def key_for(self, header: dict[str, Any]) -> Any:
        """
        Raises:
            LookupError: none fits, or several do.
            HTTPError: the address does not answer.
        """
        with self._lock:
            if time.monotonic() - self._read_at >= MAX_AGE_SECONDS:
                self._read()
            found = self._fitting(header)
            if not found and time.monotonic() - self._read_at >= COOLDOWN_SECONDS:
                self._read()
                found = self._fitting(header)
        if len(found) != 1:
            raise LookupError
        return JWKRegistry.import_key(found[0])

    def _read(self) -> None:
        self._keys = httpx.get(self._url, trust_env=False).raise_for_status().json()["keys"]
        self._read_at = time.monotonic()

    def _fitting(self, header: dict[str, Any]) -> list[Any]:
        algorithm = str(header.get("alg"))
        return [
            key
            for key in self._keys
            if key["kty"] == KINDS.get(algorithm[:2])
            and header.get("kid") in (None, key.get("kid"))
            and key.get("alg", algorithm) == algorithm
        ]


class SignatureExample(Example):
    path_served, body_limit, takes_any_type = PATH, LIMIT, True

    def decide(self, request: Any, body: bytes) -> None:
        del request
        if body and self._is_signed(body):
            self.answer(200, b'{"message":"Success"}')
        else:
            self.answer(401, b"Unauthorized")

    def _is_signed(self, body: bytes) -> bool:
        token = self.headers.get("X-FusionAuth-Signature-JWT") or ""
        try:
            header = json.loads(_decoded(token.split(".")[0]))
            if header.get("alg") not in ALGORITHMS:
                return False
            key = self.server.keys.key_for(header)  # type: ignore[attr-defined] # the server below
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)
                payload = jws.deserialize_compact(token.encode(), key, algorithms=[header["alg"]]).payload
            claims = json.loads(payload)
        except (ValueError, AttributeError, LookupError, httpx.HTTPError, JoseError):
            return False
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        return isinstance(claims, dict) and claims.get("request_body_sha256") == digest


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@contextlib.contextmanager
def express_signature_example(jwks_url: str) -> Iterator[str]:
    """Serves it, and gives its URL."""
    with Server(("127.0.0.1", 0), SignatureExample) as server:
        server.keys = RemoteKeys(jwks_url)  # type: ignore[attr-defined] # for its handlers
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}{PATH}"
        server.shutdown()
        thread.join()
