"""The cases, by area. They run in this order; what has to wait for something comes last."""

from surehook.fusionauth.conformance.case import Case
from surehook.fusionauth.conformance.cases import (
    bodies,
    credentials,
    events,
    http,
    misuse,
    published_keys,
    repeats,
    signatures,
    timing,
)

CASES: tuple[Case, ...] = (
    *events.CASES,
    *bodies.CASES,
    *http.CASES,
    *repeats.CASES,
    *credentials.CASES,
    *signatures.CASES,
    *published_keys.CASES,
    *misuse.CASES,
    *timing.CASES,
)
