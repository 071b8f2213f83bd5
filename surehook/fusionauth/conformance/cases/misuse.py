"""Bodies that are no events: a 2xx to one says that a cut or changed body counts as delivered."""

from collections.abc import Sequence

from surehook.fusionauth.conformance.case import WRITING, Cases, Level
from surehook.fusionauth.conformance.exchange import Exchange
from surehook.fusionauth.conformance.probe import Probe
from surehook.fusionauth.simulator.delivery import encode

CASES = Cases()


@CASES.refuses(
    "misuse.cut-json",
    "A proxy cuts a body off: a 2xx would count as delivered.",
    "§3",
    WRITING,
    level=Level.LOSES_EVENTS,
)
def cut_json(probe: Probe) -> Sequence[Exchange]:
    body = encode({"event": probe.event()})
    return [probe.send({}, "half of a body", body=body[: len(body) // 2])]


@CASES.refuses("misuse.empty", "A body gets lost on the way.", "§3", WRITING, level=Level.LOSES_EVENTS)
def empty(probe: Probe) -> Sequence[Exchange]:
    return [probe.send({}, "an empty body", body=b"")]


@CASES.refuses("misuse.no-envelope", "Every body is an object with an event.", "§1", WRITING, level=Level.ODD)
def no_envelope(probe: Probe) -> Sequence[Exchange]:
    bodies = {"an empty object": b"{}", "a list": b"[]", "null": b"null", "an event that is text": b'{"event":"x"}'}
    return [probe.send({}, name, body=body) for name, body in bodies.items()]


@CASES.accepts("misuse.afterwards", "After broken requests the next event is taken.", "§3", WRITING)
def afterwards(probe: Probe) -> Sequence[Exchange]:
    return [probe.send(remark="after broken requests")]
