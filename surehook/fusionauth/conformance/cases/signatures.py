"""Signatures: a token over the SHA-256 of the body, and what a forger would send instead."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from surehook.fusionauth.conformance.case import SIGNING, WEBHOOKS, Cases, Level, Need
from surehook.fusionauth.conformance.exchange import Exchange
from surehook.fusionauth.conformance.probe import Probe
from surehook.fusionauth.conformance.tokens import TokenKey, digest, generate, seal_shared, unsigned
from surehook.fusionauth.simulator.delivery import encode
from surehook.ingest.auth.signature import DIGEST_CLAIM

CASES = Cases()
NONE_SPELLINGS = ("none", "None", "NONE", "nOnE")
OTHER_BODY = b'{"event":{"type":"user.create"}}'


@CASES.accepts("signatures.right", "A signed event has one claim and no times.", "§2", SIGNING, Need.SIGNATURE)
def right(probe: Probe) -> Sequence[Exchange]:
    return [probe.send(remark="signed")]


@CASES.accepts(
    "signatures.raw-bytes", "The digest is of the bytes as sent, however they are spelt.", "§2", SIGNING, Need.SIGNATURE
)
def raw_bytes(probe: Probe) -> Sequence[Exchange]:
    event = probe.event() | {"note": "ünïcode 🦊"}
    bodies = {
        "indented": json.dumps({"event": event}, indent=2).encode(),
        "escaped": json.dumps({"event": event}).encode(),
        "with a line break at its end": encode({"event": event}) + b"\n",
    }
    return [probe.send(event, f"signed, {name}", body=body) for name, body in bodies.items()]


@CASES.accepts(
    "signatures.without-kid",
    "Whether FusionAuth names a shared secret's id in the token is not documented.",
    "§2",
    SIGNING,
    Need.SHARED_SECRET,
)
def without_kid(probe: Probe) -> Sequence[Exchange]:
    return [
        _signed(probe, "signed without a key id", lambda key, body: key.token(body, kid=None)),
        _signed(probe, "signed with a key id", lambda key, body: key.token(body, kid=key.kid or "a-key-of-fusionauth")),
    ]


@CASES.refuses("signatures.missing", "A webhook that signs, signs everything.", "§2", SIGNING, Need.SIGNATURE)
def missing(probe: Probe) -> Sequence[Exchange]:
    headers = probe.credentials.with_token(None)
    empty = probe.credentials.with_token("")
    return [probe.send(remark="unsigned", headers=headers), probe.send(remark="with an empty signature", headers=empty)]


@CASES.refuses("signatures.other-key", "A signature of another key is forged.", "§2", SIGNING, Need.SIGNATURE)
def other_key(probe: Probe) -> Sequence[Exchange]:
    forged = generate(_key(probe).algorithm)
    return [
        _signed(probe, "signed with another key", lambda _, body: forged.token(body)),
        _signed(probe, "signed with another key of the same id", lambda key, body: forged.token(body, kid=key.kid)),
    ]


@CASES.refuses(
    "signatures.other-body", "A genuine token of one event proves nothing of another.", "§2", SIGNING, Need.SIGNATURE
)
def other_body(probe: Probe) -> Sequence[Exchange]:
    return [_signed(probe, "signed for another body", lambda key, _: key.token(OTHER_BODY))]


@CASES.refuses(
    "signatures.changed-spacing",
    "A body that was changed on the way, if only its spaces, is not the signed one.",
    "§2",
    SIGNING,
    Need.SIGNATURE,
    level=Level.ODD,
)
def changed_spacing(probe: Probe) -> Sequence[Exchange]:
    event = probe.event()
    headers = probe.credentials.for_body(encode({"event": event}))
    return [probe.send(event, "changed after signing", body=encode({"event": event}) + b" ", headers=headers)]


@CASES.refuses("signatures.none", "A token that says it needs no signature has none.", "§2", SIGNING, Need.SIGNATURE)
def none_algorithm(probe: Probe) -> Sequence[Exchange]:
    return [_signed(probe, f"alg {name}", _unsigned(name)) for name in NONE_SPELLINGS]


@CASES.refuses("signatures.stripped", "A token without its last part is unsigned.", "§2", SIGNING, Need.SIGNATURE)
def stripped(probe: Probe) -> Sequence[Exchange]:
    return [
        _signed(probe, "signature cut off", lambda key, body: f"{key.token(body).rpartition('.')[0]}."),
        _signed(probe, "two parts only", lambda key, body: key.token(body).rpartition(".")[0]),
        _signed(probe, "signature shortened", lambda key, body: key.token(body)[:-4]),
    ]


@CASES.refuses(
    "signatures.other-token",
    "FusionAuth's keys sign other tokens too: without the digest one proves nothing.",
    "§2",
    SIGNING,
    Need.SIGNATURE,
)
def other_token(probe: Probe) -> Sequence[Exchange]:
    claims: dict[str, Mapping[str, Any]] = {
        "an access token": {"sub": "someone", "aud": "an-application", "iss": "login.example.com"},
        "without claims": {},
        "with an empty digest": {DIGEST_CLAIM: ""},
        "with a digest of another kind": {DIGEST_CLAIM: None},
    }
    return [_signed(probe, name, lambda key, _, found=found: key.seal(found)) for name, found in claims.items()]


@CASES.refuses(
    "signatures.brought-key",
    "A token that brings its own key, or its address, proves nothing.",
    "§2",
    SIGNING,
    Need.SIGNATURE,
)
def brought_key(probe: Probe) -> Sequence[Exchange]:
    forged = generate("RS256")
    address = f"{probe.keys.origin}/forged-jwks.json" if probe.keys is not None else "https://forger.example.com/jwks"
    signer = probe.keys.forger if probe.keys is not None else forged
    return [
        _signed(probe, "with its own key", lambda _, body: forged.token(body, jwk=forged.public_jwk())),
        _signed(probe, "with its keys' address", lambda _, body: signer.token(body, jku=address)),
    ]


@CASES.refuses(
    "signatures.confused-key",
    "A public key is no shared secret: anyone has it.",
    "§2",
    SIGNING,
    Need.PUBLIC_KEY,
)
def confused_key(probe: Probe) -> Sequence[Exchange]:
    def confuse(key: TokenKey, body: bytes) -> str:
        header = {"alg": "HS256", "typ": "JWT", "kid": key.kid}
        return seal_shared(header, json.dumps({DIGEST_CLAIM: digest(body)}).encode(), key.public_pem(), "HS256")

    return [_signed(probe, "HS256 with the public key", confuse)]


@CASES.refuses("signatures.garbage", "A header that is no token is refused.", "§2", SIGNING, Need.SIGNATURE)
def garbage(probe: Probe) -> Sequence[Exchange]:
    values = ("x", "..", "a.b.c", "e30.e30.e30", "\u00ff\u00fe.\u00fd.\u00fc", "A" * 4000)
    return [probe.send(remark="with a broken token", headers=probe.credentials.with_token(value)) for value in values]


@CASES.accepts(
    "signatures.header-case", "Proxies change the case of the signature's header.", "§2, §16", WEBHOOKS, Need.SIGNATURE
)
def header_case(probe: Probe) -> Sequence[Exchange]:
    event = probe.event()
    headers = {name.lower(): value for name, value in probe.credentials.for_body(encode({"event": event})).items()}
    return [probe.send(event, "signature header in lower case", headers=headers)]


def _key(probe: Probe) -> TokenKey:
    if probe.credentials.key is None:
        raise AssertionError("the case needs a signing key")
    return probe.credentials.key


def _unsigned(name: str) -> Callable[[TokenKey, bytes], str]:
    return lambda key, body: unsigned(body, name, key.kid)


def _signed(probe: Probe, remark: str, token: Callable[..., str]) -> Exchange:
    """Sends an event with a token made from the receiver's key and the body."""
    event = probe.event()
    body = encode({"event": event})
    return probe.send(event, remark, body=body, headers=probe.credentials.with_token(token(_key(probe), body)))
