"""Keys that the receiver reads from FusionAuth: every kind, rotation, and an outage."""

from collections.abc import Callable, Sequence

from surehook.fusionauth.conformance.case import ISSUES, SIGNING, Cases, Need
from surehook.fusionauth.conformance.exchange import Exchange
from surehook.fusionauth.conformance.probe import Probe
from surehook.fusionauth.conformance.published_keys import PublishedKeys
from surehook.fusionauth.conformance.tokens import TokenKey, generate
from surehook.fusionauth.simulator.delivery import encode

CASES = Cases()


@CASES.accepts("published-keys.rsa", "RSA keys sign with SHA-256, SHA-384 and SHA-512.", "§2", SIGNING, Need.JWKS)
def rsa(probe: Probe) -> Sequence[Exchange]:
    return [_signed(probe, _keys(probe).keys[kind]) for kind in ("RS256", "RS384", "RS512")]


@CASES.accepts("published-keys.ec", "EC keys of three curves sign.", "§2", SIGNING, Need.JWKS)
def ec(probe: Probe) -> Sequence[Exchange]:
    return [_signed(probe, _keys(probe).keys[kind]) for kind in ("ES256", "ES384", "ES512")]


@CASES.accepts(
    "published-keys.edwards",
    "Ed25519 keys sign; whether the token says EdDSA or Ed25519 is not documented.",
    "§2",
    SIGNING,
    Need.JWKS,
)
def edwards(probe: Probe) -> Sequence[Exchange]:
    return [_signed(probe, _keys(probe).keys["Ed25519"], name) for name in ("EdDSA", "Ed25519")]


@CASES.refuses(
    "published-keys.unpublished", "A key that FusionAuth does not publish is a forger's.", "§2", SIGNING, Need.JWKS
)
def unpublished(probe: Probe) -> Sequence[Exchange]:
    forged = generate("RS256")
    return [_signed(probe, forged), _signed(probe, generate("ES256"))]


@CASES.refuses(
    "published-keys.other-algorithm",
    "A token under one key's id, signed as another algorithm, is forged.",
    "§2",
    SIGNING,
    Need.JWKS,
)
def other_algorithm(probe: Probe) -> Sequence[Exchange]:
    forged, published = generate("ES256"), _keys(probe).keys["RS256"]
    return [_send(probe, lambda body: forged.token(body, kid=published.kid), "ES256 under an RSA key's id")]


@CASES.accepts(
    "published-keys.outage",
    "The JWKS answers 500 at times: known keys stay valid.",
    "§2",
    f"{ISSUES}2390",
    Need.JWKS,
)
def outage(probe: Probe) -> Sequence[Exchange]:
    keys = _keys(probe)
    keys.is_failing = True
    try:
        return [_signed(probe, keys.keys["RS256"], remark="while the JWKS answers 500")]
    finally:
        keys.is_failing = False


def _keys(probe: Probe) -> PublishedKeys:
    if probe.keys is None:
        raise AssertionError("the case needs published keys")
    return probe.keys


def _signed(probe: Probe, key: TokenKey, algorithm: str = "", remark: str = "") -> Exchange:
    name = algorithm or key.algorithm
    return _send(probe, lambda body: key.token(body, alg=name), remark or f"signed {name}")


def _send(probe: Probe, token: Callable[[bytes], str], remark: str) -> Exchange:
    event = probe.event()
    body = encode({"event": event})
    return probe.send(event, remark, body=body, headers=probe.credentials.with_token(token(body)))
