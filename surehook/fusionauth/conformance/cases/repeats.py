"""The same event several times, and many at once."""

from collections.abc import Sequence

from surehook.fusionauth.conformance.case import EVENTS, ISSUES, WEBHOOKS, WRITING, Cases
from surehook.fusionauth.conformance.exchange import Exchange
from surehook.fusionauth.conformance.probe import Probe
from surehook.fusionauth.simulator.http_client import Fault
from surehook.fusionauth.transaction_setting import MOST_RESENDS

CASES = Cases()
MANY = 40
# Proof of these in our own store: see surehook.fusionauth.conformance.proof.
REPEATED = "sent again"


@CASES.accepts("repeats.same-id", "An event may arrive more than once; its id tells.", "§5", EVENTS)
def same_id(probe: Probe) -> Sequence[Exchange]:
    event = probe.event("user.email.update")
    return [probe.send(event), probe.send(event, REPEATED)]


@CASES.accepts(
    "repeats.resends",
    "Where another webhook met the setting, FusionAuth sends up to three more times, without a pause.",
    "§5",
    WRITING,
)
def resends(probe: Probe) -> Sequence[Exchange]:
    event = probe.event("user.create")
    return [probe.send(event), *(probe.send(event, f"{REPEATED}, {n} of {MOST_RESENDS}") for n in (1, 2, 3))]


@CASES.accepts("repeats.by-proxy", "A proxy that got no answer in time sends the request again.", "§5", WRITING)
def by_proxy(probe: Probe) -> Sequence[Exchange]:
    return [probe.send(probe.event("user.update"), "twice by a proxy", fault=Fault.SENT_TWICE)]


@CASES.accepts("repeats.at-once", "Two copies of one event arrive at the same moment.", "§5", WRITING)
def at_once(probe: Probe) -> Sequence[Exchange]:
    event = probe.event("user.reactivate")
    return probe.send_at_once([event] * 4, "at the same moment")


@CASES.accepts(
    "repeats.edited",
    "The Test page keeps the id while its text is edited, and the documented samples share ids.",
    "§11, §16",
    f"{WEBHOOKS}#test-a-webhook",
)
def edited(probe: Probe) -> Sequence[Exchange]:
    event = probe.event("user.update.complete")
    changed = event | {"user": event["user"] | {"firstName": "Edited"}}
    return [probe.send(event), probe.send(changed, "edited, with the same id")]


@CASES.accepts(
    "repeats.pair", "X and X.complete are two events with two ids.", "§7", f"{EVENTS}user/user-create-complete"
)
def pair(probe: Probe) -> Sequence[Exchange]:
    return [probe.send(probe.event(name)) for name in ("group.create", "group.create.complete")]


@CASES.accepts("repeats.many-at-once", "Many users do things at the same time.", "§5", f"{ISSUES}1543")
def many_at_once(probe: Probe) -> Sequence[Exchange]:
    return probe.send_at_once([probe.event("user.login.success") for _ in range(MANY)], "many at once")
