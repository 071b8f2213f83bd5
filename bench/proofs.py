"""The kinds of proof that the door is measured with: what the endpoint is told, and what a request then carries."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.support.house import API_KEY


def _api_key(_: bytes) -> str:
    return f"Authorization: {API_KEY}\r\n"


@dataclass(frozen=True, slots=True)
class Proof:
    """`headers` gets the body and returns whole lines; `environ` is set for `surehook ingest`."""

    headers: Callable[[bytes], str]
    environ: Mapping[str, str] = field(default_factory=dict)


# The first is what everything else is compared with.
PROOFS: dict[str, Proof] = {"API key": Proof(_api_key)}
