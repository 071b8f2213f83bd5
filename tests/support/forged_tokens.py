"""Forged deliveries: genuine ones, changed in one to four places, from the claims to the bytes."""

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.events import an_event
from harness.signing import ALGORITHMS, SECRET, SIGNATURE, Signer, b64url, digest_of, signer

TRUSTED_KEYS = [signer(algorithm) for algorithm in ALGORITHMS]
UNKNOWN_KEYS = [signer(algorithm, number=1) for algorithm in ("HS256", "RS256", "ES256", "Ed25519")]
AUTHORIZATION = "a-key-for-tests-only"
WORDS = [
    *(b"", b"\x00", b"\r\n", b"\r\n\r\n", b" ", b"\t", b",", b".", b"..", b"=", b"{}", b"-1", b"0x10"),
    *(b"none", b"HS256", b"NaN", b"1e999", b"null", b"Bearer ", b"Basic ", b"chunked", b"\xff\xfe", b"\xc3\xa9"),
    *(b"[" * 600, b'{"a":' * 300, b"9" * 5000, b"A" * 9000, b"\\ud800", b"POST / HTTP/1.1\r\n"),
    *(b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n"),
    b"Upgrade: websocket\r\nConnection: upgrade\r\n",
]
VALUES: list[Any] = [
    *(None, True, 0, -1, 1e308, 10**400, float("nan"), 4_000_000_000, "", "x", [], {}, ["HS256"], {"alg": "none"}),
    *("none", "HS256", "RS256", "EdDSA", "the-key", "../../etc/passwd", "\ud800"),
]
NAMES = [
    "alg",
    "kid",
    "typ",
    "crit",
    "b64",
    "jku",
    "jwk",
    "x5u",
    "x5c",
    "zip",
    "exp",
    "nbf",
    "iat",
    "request_body_sha256",
    "é",
]


@dataclass
class Forgery:
    """A delivery before it is sent."""

    body: bytes
    signer: Signer
    header: Any
    claims: Any
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    token: bytes = b""

    def wire(self) -> bytes:
        lines = [b"POST /fusionauth-webhook HTTP/1.1", *(name + b": " + value for name, value in self.headers)]
        return b"\r\n".join([*lines, b"", b""]) + self.body


class Forger:
    """Makes the same deliveries for the same seed. `signed` has the genuine ones: no other may be accepted."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - repeatable by its seed
        self.signed: set[tuple[bytes, bytes]] = set()

    def delivery(self) -> bytes:
        """Returns the bytes of a request."""
        forgery = self._genuine()
        places = self.random.randrange(5)
        self._change_some(forgery, places, [self._change_header, self._change_claims, self._change_body])
        self._seal(forgery)
        self._change_some(forgery, self.random.randrange(3), [self._change_token, self._change_headers])
        wire = forgery.wire()
        if self.random.random() < 0.3:
            wire = self._bytes(wire)
        return wire

    def pieces(self, wire: bytes) -> list[bytes]:
        """Splits a request as a network may."""
        if self.random.random() < 0.7 or len(wire) < 2:
            return [wire]
        cuts = sorted(self.random.randrange(len(wire)) for _ in range(self.random.randrange(1, 4)))
        return [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]

    def _genuine(self) -> Forgery:
        body = json.dumps({"event": an_event()}).encode()
        if self.random.random() < 0.2:
            body = self._bytes(body)
        chosen = self.random.choice(TRUSTED_KEYS)
        return Forgery(body, chosen, chosen.header(), {"request_body_sha256": digest_of(body)})

    def _seal(self, forgery: Forgery) -> None:
        choice = self.random.random()
        try:
            if choice < 0.75:
                token = forgery.signer.seal(forgery.header, forgery.claims)
            elif choice < 0.9:
                token = self.random.choice(UNKNOWN_KEYS).seal(forgery.header, forgery.claims)
            else:  # a public key as the secret
                key = signer("RS256").public_pem().encode()
                token = Signer("HS256", key).seal(forgery.header, forgery.claims)
        except (ValueError, TypeError, UnicodeEncodeError):
            token = f"{b64url(b'{}')}.{b64url(b'{}')}.AAAA"
            choice = 1.0
        forgery.token = token.encode()
        if choice < 0.75:
            self.signed.add((forgery.token, forgery.body))
        forgery.headers = [
            (b"Host", b"surehook"),
            (b"Content-Type", b"application/json"),
            (b"Authorization", AUTHORIZATION.encode()),
            (b"X-Team", b"red"),
            (SIGNATURE.encode(), forgery.token),
            (b"Content-Length", b"%d" % len(forgery.body)),
        ]

    def _change_some(self, forgery: Forgery, places: int, changes: list[Callable[[Forgery], None]]) -> None:
        for _ in range(places):
            self.random.choice(changes)(forgery)

    def _change_header(self, forgery: Forgery) -> None:
        forgery.header = self._document(forgery.header)

    def _change_claims(self, forgery: Forgery) -> None:
        forgery.claims = self._document(forgery.claims)

    def _document(self, document: Any) -> Any:
        if not isinstance(document, dict) or self.random.random() < 0.1:
            return self.random.choice([*VALUES, self.random.choice(WORDS), b'{"alg":"HS256","alg":"none"}'])
        changed = dict(document)
        name = self.random.choice([*NAMES, *map(str, document)])
        if self.random.random() < 0.2:
            changed.pop(name, None)
        else:
            changed[name] = self.random.choice([*VALUES, SECRET, document.get(name)])
        return changed

    def _change_body(self, forgery: Forgery) -> None:
        forgery.body = self._bytes(forgery.body)

    def _change_token(self, forgery: Forgery) -> None:
        parts = forgery.token.split(b".")
        place = self.random.randrange(len(parts))
        choices: list[Callable[[], bytes]] = [
            lambda: self._bytes(forgery.token),
            lambda: b".".join([*parts[:place], self._bytes(parts[place]), *parts[place + 1 :]]),
            lambda: b".".join(parts[:place] + parts[place + 1 :]),
            lambda: b".".join(self.random.sample(parts, len(parts))),
            lambda: forgery.token + b"=" * self.random.randrange(3),
            lambda: forgery.token[:-1] + bytes([self.random.randrange(33, 127)]),
            lambda: base64.b64encode(forgery.token),
            lambda: self.random.choice(sorted(self.signed))[0] if self.signed and len(self.signed) < 50 else b"",
        ]
        forgery.token = self.random.choice(choices)()
        forgery.headers = [
            (name, forgery.token if name == SIGNATURE.encode() else value) for name, value in forgery.headers
        ]

    def _change_headers(self, forgery: Forgery) -> None:
        place = self.random.randrange(len(forgery.headers))
        name, value = forgery.headers[place]
        other = self.random.choice(forgery.headers)
        choices = [
            [],
            [(name, value), (name, value)],
            [(name, value), (name, other[1])],
            [(name.swapcase(), value)],
            [(name, self._bytes(value))],
            [(self._bytes(name), value)],
            [(name, other[1])],
            [(name, b"Bearer " + value)],
            [(name, b" \t" + value + b" ")],
            [(name, value), (b"Transfer-Encoding", b"chunked")],
            [(name, value), (b"Content-Encoding", b"gzip")],
            [(name, value), (b"X-Long", b"x" * self.random.choice([10, 9000, 70_000]))],
        ]
        forgery.headers[place : place + 1] = self.random.choice(choices)

    def _bytes(self, value: bytes) -> bytes:
        place = self.random.randrange(len(value) + 1)
        end = min(len(value), place + self.random.randrange(1, 8))
        choices = [
            lambda: value[:place] + bytes([self.random.randrange(256)]) + value[place + 1 :],
            lambda: value[:place] + value[end:],
            lambda: value[:place] + self.random.choice(WORDS) + value[place:],
            lambda: value[:place] + value[place:end] * 2 + value[end:],
            lambda: value[:place],
            lambda: value + value,
            lambda: value[:place] + self.random.randbytes(self.random.randrange(20)) + value[place:],
        ]
        return self.random.choice(choices)()
