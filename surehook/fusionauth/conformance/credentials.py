"""The credentials that the receiver expects from FusionAuth."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from surehook.fusionauth.conformance.case import Need
from surehook.fusionauth.conformance.tokens import TokenKey
from surehook.fusionauth.simulator.signing_keys import SIGNATURE_HEADER

SHORTEST_SECRET = 4
MASK = "[secret]"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The headers and Basic pair that are configured at the webhook, and the key that it signs with."""

    headers: Mapping[str, str] = field(default_factory=dict)
    basic: str = ""
    key: TokenKey | None = None

    def for_body(self, body: bytes) -> dict[str, str]:
        """Returns the headers of a request as FusionAuth would send it."""
        token = self.key.token(body) if self.key is not None else None
        return self.with_token(token)

    def with_token(self, token: str | None) -> dict[str, str]:
        """Returns the headers of a request with any token, or with none."""
        found = {"Content-Type": "application/json", **self.headers}
        if self.basic:
            found["Authorization"] = f"Basic {base64.b64encode(self.basic.encode()).decode()}"
        return found if token is None else {**found, SIGNATURE_HEADER: token}

    def with_headers(self, headers: Mapping[str, str]) -> "Credentials":
        return replace(self, headers=headers)

    def with_basic(self, pair: str) -> "Credentials":
        return replace(self, basic=pair)

    def has(self, need: Need) -> bool:
        """Says whether a case can be tried, as far as credentials decide it."""
        return {
            Need.HEADER: bool(self.headers),
            Need.BASIC: bool(self.basic),
            Need.SIGNATURE: self.key is not None,
            Need.SHARED_SECRET: self.key is not None and self.key.is_shared,
            Need.PUBLIC_KEY: self.key is not None and not self.key.is_shared,
        }.get(need, False)

    def masked(self, text: str) -> str:
        """Returns text from the receiver without our secrets, which it may repeat."""
        found = [*self.headers.values(), self.basic, *self.basic.split(":", 1)]
        found.append(base64.b64encode(self.basic.encode()).decode())
        for secret in sorted(filter(None, found), key=len, reverse=True):
            if len(secret) >= SHORTEST_SECRET:
                text = text.replace(secret, MASK)
        return text
