"""A disturbance is the same for the same seed, and happens as often as its share says."""

from collections import Counter

from surehook.fusionauth.simulator.disturbance import UNKNOWN_TYPE, Disturbance
from surehook.fusionauth.simulator.http_client import Fault
from tests.support.simulated_fusionauth import an_event

SHARES = {Fault.CUT_BODY: 0.1, Fault.LOST_RESPONSE: 0.3}


def faults(seed: int) -> list[Fault | None]:
    disturbance = Disturbance(seed, SHARES)
    return [disturbance.fault_of({}, {}) for _ in range(2000)]


def test_faults_happen_as_often_as_their_shares_say_and_repeat_with_the_seed() -> None:
    counted = Counter(faults(1))

    assert faults(1) == faults(1) != faults(2)
    assert 150 < counted[Fault.CUT_BODY] < 250
    assert 500 < counted[Fault.LOST_RESPONSE] < 700


def test_nothing_is_disturbed_at_first() -> None:
    disturbance, event = Disturbance(1), an_event()

    assert disturbance.fault_of(event, {}) is None
    assert disturbance.sent_as(event) is event


def test_odd_forms_keep_the_id() -> None:
    event = an_event() | {"user": {"id": "u", "email": "a@x.y"}}

    unknown = Disturbance(1, unknown_type=1).sent_as(event)
    missing = Disturbance(1, missing_fields=1).sent_as(event)
    null = Disturbance(1, null_fields=1).sent_as(event)

    assert unknown == event | {"type": UNKNOWN_TYPE}
    assert missing == {"id": event["id"], "type": event["type"], "user": {"id": "u"}}
    assert null["info"] is None
    assert null["id"] == event["id"]
