"""Key rotation in any order: no delivery is refused while the endpoint knows the sender's key."""

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from harness.signing import SIGNATURE, Signer, signer
from surehook.ingest.auth.jwks import FETCH_EVERY_SECONDS
from surehook.ingest.auth.signature import Signatures, require_signed_body
from surehook.ingest.auth.signing_keys import PUBLIC_ALGORITHMS
from surehook.shared.errors import AuthenticationFailed
from tests.support.authentication import BODY, keys_of
from tests.unit.ingest.auth.test_jwks import JwksServer

KEYS = [
    signer("HS256", None),
    signer("HS512", "a", 1),
    signer("HS256", "a", 2),
    signer("RS256", "b"),
    signer("RS512", None, 1),
    signer("ES256", "c"),
    signer("Ed25519", "b"),
]
PUBLISHED = [signer("RS256", f"k{number}", number % 2) for number in range(3)] + [signer("ES384", "k3")]


TOKENS = {id(sender): sender.token(BODY).encode() for sender in [*KEYS, *PUBLISHED]}


def accepted(signatures: Signatures, *senders: Signer) -> list[bool]:
    async def is_accepted(sender: Signer) -> bool:
        token = TOKENS.get(id(sender)) or sender.token(BODY).encode()
        try:
            require_signed_body(BODY, await signatures.signed_digest([(SIGNATURE.lower().encode(), token)]))
        except AuthenticationFailed:
            return False
        return True

    async def deliver() -> list[bool]:
        return [await is_accepted(sender) for sender in senders]

    return asyncio.run(deliver())


class Restarts(RuleBasedStateMachine):
    """Rotates keys in the settings; each change restarts the endpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.sender = KEYS[0]
        self.configured = [KEYS[0]]
        self.pins: set[str] = set()

    @rule(key=st.sampled_from(KEYS))
    def add_key(self, key: Signer) -> None:
        if key not in self.configured:
            self.configured.insert(0, key)
            if self.pins and key.kid:
                self.pins.add(key.kid)

    @rule(data=st.data())
    def switch_sender(self, data: st.DataObject) -> None:
        self.sender = data.draw(st.sampled_from(self.configured))

    @rule(data=st.data())
    def remove_key(self, data: st.DataObject) -> None:
        old = [key for key in self.configured if key is not self.sender]
        if old:
            self.configured.remove(data.draw(st.sampled_from(old)))

    @rule()
    def pin(self) -> None:
        self.pins = {key.kid for key in self.configured if key.kid}

    @rule()
    def unpin(self) -> None:
        self.pins = set()

    @invariant()
    def the_sender_is_accepted_and_removed_keys_are_not(self) -> None:
        signatures = Signatures(keys_of(*self.configured), pinned=tuple(self.pins))

        removed = [key for key in KEYS if key.key not in [each.key for each in self.configured]]
        assert accepted(signatures, self.sender, *removed) == [True, *(False for _ in removed)]


class Publishing(RuleBasedStateMachine):
    """Rotates keys in a JWKS without a restart. A key is published ten seconds before it is first used."""

    def __init__(self) -> None:
        super().__init__()
        self.jwks_server = JwksServer(PUBLISHED[0])
        self.signatures = Signatures([], self.jwks_server.jwks)
        self.sender = PUBLISHED[0]
        self.published_at = {PUBLISHED[0].kid: self.jwks_server.now - FETCH_EVERY_SECONDS}

    @rule(seconds=st.sampled_from([0.5, 3.0, 9.9, 10.0, 300.0]))
    def wait(self, seconds: float) -> None:
        self.jwks_server.now += seconds

    @rule(key=st.sampled_from(PUBLISHED))
    def publish(self, key: Signer) -> None:
        if key not in self.jwks_server.published:
            self.jwks_server.published.append(key)
            self.published_at[key.kid] = self.jwks_server.now

    @rule(data=st.data())
    def switch_sender(self, data: st.DataObject) -> None:
        usable = [key for key in self.jwks_server.published
                   if self.jwks_server.now - self.published_at[key.kid] >= FETCH_EVERY_SECONDS]  # fmt: skip
        self.sender = data.draw(st.sampled_from(usable))

    @precondition(lambda self: len(self.jwks_server.published) > 1)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        old = [key for key in self.jwks_server.published if key is not self.sender]
        self.jwks_server.published.remove(data.draw(st.sampled_from(old)))

    @rule(kid=st.sampled_from(["x", "y", "k0", "k9"]))
    def use_an_unpublished_key(self, kid: str) -> None:
        assert accepted(self.signatures, signer("RS256", kid, number=1)) == [False]

    @invariant()
    def the_sender_is_accepted(self) -> None:
        assert accepted(self.signatures, self.sender) == [True]


def _test_case(machine: type[RuleBasedStateMachine]) -> Any:
    case = machine.TestCase
    case.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
    return case


TestKeysInTheSettings = _test_case(Restarts)
TestKeysInAJwks = _test_case(Publishing)


def test_the_rotation_covers_every_kind_of_key() -> None:
    assert {key.algorithm for key in PUBLISHED} <= PUBLIC_ALGORITHMS
    assert {key.algorithm[:2] for key in KEYS} == {"HS", "RS", "ES", "Ed"}
