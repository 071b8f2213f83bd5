"""An entry of the event log is judged by its attempts at our webhook, never by its result alone."""

from typing import Any
from uuid import UUID

import pytest

from surehook.fusionauth.reconcile.decisions import SETTLED_AFTER_MS, Fate, Webhooks, fate_of
from surehook.fusionauth.reconcile.entries import LogEntry, entry_from_json
from surehook.shared.envelope import parse_event
from surehook.shared.errors import MalformedBody

NOW = 1_790_000_000_000
OURS, THEIRS = "11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"
OK, REFUSED, NO_ANSWER = ("Success", 202), ("Failure", 500), ("Failure", -1)


def an_entry(
    result: str = "Succeeded",
    *attempts: tuple[str, tuple[str, int]],
    event_type: str = "user.create.complete",
    age_ms: int = 0,
) -> LogEntry:
    return entry_from_json(
        {
            "id": "log-1",
            "sequence": 1,
            "insertInstant": NOW - age_ms,
            "eventResult": result,
            "event": {"event": {"id": str(UUID(int=1)), "type": event_type}},
            "attempts": [
                {"webhookId": hook, "attemptResult": name, "webhookCallResponse": {"statusCode": status}}
                for hook, (name, status) in attempts
            ],
        }
    )


def webhooks(*, receives: bool = True) -> Webhooks:
    return Webhooks(frozenset({OURS}), lambda event_type, tenant_id, at_ms: receives)


@pytest.mark.parametrize(
    ("entry", "fate"),
    [
        (an_entry("Succeeded", (OURS, OK)), Fate.DELIVERED),
        (an_entry("Succeeded", (OURS, REFUSED), (OURS, OK)), Fate.DELIVERED),
        (an_entry("Succeeded", (OURS, REFUSED), (THEIRS, OK)), Fate.NOT_DELIVERED),
        (an_entry("Succeeded", (OURS, NO_ANSWER)), Fate.NOT_DELIVERED),
        (an_entry("Succeeded", (THEIRS, OK)), Fate.NOT_FOR_US),
        (an_entry("Succeeded"), Fate.NOT_FOR_US),
        (an_entry("Failed", (OURS, REFUSED), event_type="user.create"), Fate.ROLLED_BACK),
        (an_entry("Failed", (OURS, OK), (THEIRS, REFUSED), event_type="user.create"), Fate.ROLLED_BACK),
        (an_entry("Succeeded", (OURS, REFUSED), event_type="user.create"), Fate.NOT_DELIVERED),
        (an_entry("Running", (OURS, REFUSED)), Fate.RUNNING),
        (an_entry("Running"), Fate.RUNNING),
        (an_entry("Running", (OURS, OK), event_type="user.create", age_ms=SETTLED_AFTER_MS), Fate.INTERRUPTED),
        (an_entry("Running", event_type="user.create", age_ms=SETTLED_AFTER_MS), Fate.INTERRUPTED),
        (an_entry("Running", age_ms=SETTLED_AFTER_MS), Fate.NOT_DELIVERED),
        (an_entry("Running", event_type="user.of-tomorrow", age_ms=SETTLED_AFTER_MS), Fate.INTERRUPTED),
    ],
)
def test_the_fate_of_an_entry(entry: LogEntry, fate: Fate) -> None:
    assert fate_of(entry, webhooks(), now_ms=NOW) is fate


def test_an_interrupted_event_that_our_switches_exclude_is_not_for_us() -> None:
    entry = an_entry("Running", age_ms=SETTLED_AFTER_MS)

    assert fate_of(entry, webhooks(receives=False), now_ms=NOW) is Fate.NOT_FOR_US


@pytest.mark.parametrize(
    "event",
    [None, [], "x", '{"no', {"event": {"type": "user.create"}}, {"event": {"id": "x", "type": "user.create"}}],
)
def test_an_entry_without_a_usable_event_is_named_as_such(event: Any) -> None:
    with pytest.raises(MalformedBody):
        entry_from_json({"event": event})


ID = str(UUID(int=1))


@pytest.mark.parametrize("field", ["sequence", "insertInstant"])
@pytest.mark.parametrize("value", ["12", None, [], float("inf"), float("nan"), -1, 10**400])
def test_an_odd_number_in_an_entry_stops_no_run(field: str, value: Any) -> None:
    entry = entry_from_json({"event": {"id": ID, "type": "user.create"}, field: value})

    assert entry.envelope.event_id == ID


def test_half_of_a_surrogate_pair_is_kept_as_it_came() -> None:
    entry = entry_from_json({"event": {"id": ID, "type": "user.create", "user": {"firstName": "\ud83e Zoë"}}})

    assert parse_event(entry.envelope.body)["user"] == {"firstName": "\ud83e Zoë"}


def test_an_event_with_a_number_that_is_none_is_no_event() -> None:
    with pytest.raises(MalformedBody):
        entry_from_json({"event": {"id": ID, "type": "user.create", "user": {"data": {"n": float("nan")}}}})


@pytest.mark.parametrize("wrap", [lambda event: {"event": event}, lambda event: event])
def test_an_event_is_read_with_and_without_its_envelope(wrap: Any) -> None:
    entry = entry_from_json({"event": wrap({"id": str(UUID(int=1)), "type": "user.create"})})

    assert (entry.envelope.event_id, entry.envelope.event_type) == (str(UUID(int=1)), "user.create")
    assert entry.envelope.body.startswith(b'{"event":{')
