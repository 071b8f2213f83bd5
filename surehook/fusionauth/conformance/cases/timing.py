"""How long answers took; and what has to wait."""

import time
from collections.abc import Sequence

from surehook.fusionauth.conformance.case import SIGNING, WEBHOOK_API, WRITING, Cases, Level, Need
from surehook.fusionauth.conformance.exchange import Exchange
from surehook.fusionauth.conformance.judgement import Judgement
from surehook.fusionauth.conformance.probe import Probe
from surehook.fusionauth.simulator.delivery import encode
from surehook.shared.event_types import EVENT_TYPES

CASES = Cases()
# Publishing a key, choosing it for the webhook and saving takes a person longer.
ROTATION_SECONDS = 11.0
SHOWN = 5


@CASES.accepts("timing.in-time", "FusionAuth waits a second to connect and two for the answer.", "§3", WEBHOOK_API)
def in_time(probe: Probe) -> Judgement:
    return _slowest(probe, probe.exchanges)


@CASES.accepts(
    "timing.transactional",
    "While FusionAuth waits for a transactional answer, so does its user.",
    "§4, §5",
    WRITING,
    level=Level.BLOCKS_USERS,
)
def transactional(probe: Probe) -> Judgement:
    def is_transactional(exchange: Exchange) -> bool:
        known = EVENT_TYPES.get(exchange.event_type)
        return known is not None and known.is_transactional

    return _slowest(probe, [each for each in probe.exchanges if is_transactional(each)])


@CASES.accepts(
    "timing.rotation",
    "After a rotation FusionAuth signs with a new key; the JWKS has both.",
    "§2",
    SIGNING,
    Need.JWKS,
)
def rotation(probe: Probe) -> Sequence[Exchange]:
    keys = probe.keys
    if keys is None:
        raise AssertionError("the case needs published keys")
    time.sleep(max(0.0, keys.next_published_at + ROTATION_SECONDS - time.monotonic()))
    exchanges = []
    for key, remark in ((keys.next_key, "signed with the new key"), (keys.keys["RS256"], "signed with the old key")):
        event = probe.event()
        body = encode({"event": event})
        exchanges.append(probe.send(event, remark, body=body, headers=probe.credentials.with_token(key.token(body))))
    return exchanges


def _slowest(probe: Probe, exchanges: Sequence[Exchange]) -> Judgement:
    """Goes by accepted events alone: what got no answer was found by its own case."""
    slowest = tuple(sorted((each for each in exchanges if each.is_accepted), key=lambda each: -each.seconds)[:SHOWN])
    if not slowest or slowest[0].seconds <= probe.read_timeout / 2:
        return Judgement(Level.OK, exchanges=slowest)
    wrong = f"An answer took {slowest[0].seconds:.1f} s, more than half of FusionAuth's {probe.read_timeout:g} s."
    return Judgement(Level.ODD, wrong, slowest)
