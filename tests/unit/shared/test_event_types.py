import json
from collections import Counter
from pathlib import Path

import pytest

from surehook.shared.event_types import EVENT_TYPES, EventType, closest, label

# A copy of FusionAuth's own list may lie beside the repository.
_LIST = Path(__file__).parents[4] / "shared" / "fusionauth" / "catalog.json"


def test_all_64_event_types_are_known() -> None:
    assert len(EVENT_TYPES) == 64
    assert all(name == event_type.name for name, event_type in EVENT_TYPES.items())


def test_half_of_the_types_are_transactional() -> None:
    transactional = [name for name, event_type in EVENT_TYPES.items() if event_type.is_transactional]

    assert len(transactional) == 32
    assert not [name for name in transactional if name.endswith(".complete")]


def test_three_types_belong_to_the_instance_and_none_of_them_is_transactional() -> None:
    scopes = Counter(event_type.scope for event_type in EVENT_TYPES.values())
    instance = [event_type for event_type in EVENT_TYPES.values() if event_type.scope == "instance"]

    assert scopes == {"tenant": 61, "instance": 3}
    assert {event_type.name for event_type in instance} == {
        "audit-log.create",
        "event-log.create",
        "kickstart.success",
    }
    assert not any(event_type.is_transactional for event_type in instance)


def test_every_complete_event_has_the_shape_of_its_transactional_counterpart() -> None:
    pairs = [
        (EVENT_TYPES[name.removesuffix(".complete")], event_type)
        for name, event_type in EVENT_TYPES.items()
        if name.endswith(".complete")
    ]

    assert len(pairs) == 15
    assert all(before.is_transactional and before.fields == after.fields for before, after in pairs)


def test_catalogue_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        EVENT_TYPES["user.invented"] = EVENT_TYPES["user.create"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        EVENT_TYPES["user.create"].since = "1.0.0"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        pytest.param("user.created", "user.create", id="past tense"),
        pytest.param("user.loginid.duplicate.create", "user.loginId.duplicate.create", id="case"),
        pytest.param("user.two-factor.failed.attempt", "user.two-factor.failed-attempt", id="docs: dot"),
        pytest.param("event.log.create", "event-log.create", id="docs: event log"),
        pytest.param("create-log.create", "event-log.create", id="docs: another event log"),
        pytest.param("audit.log.create", "audit-log.create", id="docs: audit log"),
        pytest.param("identity.verified", "user.identity.verified", id="docs: draft"),
        pytest.param("group.delete.create", "group.delete.complete", id="docs: group"),
    ],
)
def test_a_misspelt_type_finds_the_intended_one(written: str, meant: str) -> None:
    assert written not in EVENT_TYPES
    assert meant in closest(written)


def test_name_unlike_any_type_finds_nothing() -> None:
    assert closest("") == []
    assert closest("zzzz") == []


def test_clients_cannot_create_labels() -> None:
    unknown = [f"user.create{number}" for number in range(100)]
    hostile = ["", "other", "USER.CREATE", "user.create\n", 'x"} 1', "a" * 10_000]

    labels = {label(name) for name in [*EVENT_TYPES, *unknown, *hostile]}

    assert labels == {*EVENT_TYPES, "other"}


@pytest.mark.skipif(not _LIST.exists(), reason="FusionAuth's own list is not beside this repository")
def test_catalogue_agrees_with_fusionauths_own_list() -> None:
    listed = {
        entry["type"]: EventType(
            name=entry["type"],
            is_transactional=entry["transactional"],
            scope=entry["scope"],
            since=entry["since"],
            fields=tuple(entry["event_fields"]),
        )
        for entry in json.loads(_LIST.read_text())
    }

    assert dict(EVENT_TYPES) == listed
