"""The population fires what FusionAuth documents, and the same for the same seed."""

from itertools import islice

import pytest

from surehook.fusionauth.sample_parts import APPLICATION_ID, TENANT_ID
from surehook.fusionauth.simulator.population import WEIGHTS, Operation, Population
from surehook.shared.event_types import EVENT_TYPES
from tests.support.simulated_fusionauth import NOW


def operations(count: int, seed: int = 7) -> list[Operation]:
    population = Population(seed, TENANT_ID, APPLICATION_ID, lambda: NOW, import_size=2)
    found = []
    for operation in islice(population.operations(), count):
        operation.apply()
        found.append(operation)
    return found


@pytest.fixture(scope="module")
def many() -> list[Operation]:
    return operations(2000)


def test_the_same_seed_gives_the_same_events() -> None:
    first, second, other = (
        [event for operation in operations(50, seed) for event in operation.events] for seed in (1, 1, 2)
    )

    assert first == second
    assert first != other


def test_every_operation_happens(many: list[Operation]) -> None:
    assert {operation.name for operation in many} == set(WEIGHTS)


def test_ids_are_unique_and_fields_are_those_of_the_type(many: list[Operation]) -> None:
    events = [event for operation in many for event in operation.events]

    assert len({event["id"] for event in events}) == len(events)
    common = {"createInstant", "id", "info", "type", "tenantId", "linkedObjectId"}
    for event in events:
        own = set(event) - common - {"reason"}
        assert own <= set(EVENT_TYPES[event["type"]].fields), event["type"]


def test_only_transactional_events_come_before_the_commit(many: list[Operation]) -> None:
    for operation in many:
        assert all(EVENT_TYPES[event["type"]].is_transactional for event in operation.before), operation.name
        assert not any(EVENT_TYPES[event["type"]].is_transactional for event in operation.after), operation.name


def test_pairs_are_complete_but_for_bulk_deletes_and_imports(many: list[Operation]) -> None:
    for operation in many:
        types = [event["type"] for event in operation.events]
        paired = {f"{name}.complete" for name in types if f"{name}.complete" in EVENT_TYPES}
        assert paired <= set(types) or operation.name == "delete in bulk"
    assert not any(event["type"] == "user.create" for op in many if op.name == "import" for event in op.events)
