"""Replicas: acknowledged events outlive the primary, and without replicas no event is acknowledged."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from harness.events import an_event
from harness.stack import Stack, wait_until
from surehook.shared.scripts import texts
from tests.support.replicas import Fleet

Build = Callable[..., Stack]
SENDERS = 4
EVENTS = 60


@pytest.fixture
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("f"), replicas=1)
    yield fleet
    fleet.close()


@pytest.fixture
def fleet_of_three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("f"), replicas=2)
    yield fleet
    fleet.close()


@contextmanager
def under_load(stack: Stack, accepted: list[str]) -> Iterator[None]:
    is_over = threading.Event()

    def send() -> None:
        while not is_over.is_set():
            event = an_event()
            try:
                if stack.deliver(event).status_code == 202:
                    accepted.append(event["id"])
            except httpx.TransportError:
                pass

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def lost_in_failover(stack: Stack, fleet: Fleet, accepted: list[str]) -> set[str]:
    """Kill the primary under load, go on with the other; which of the acknowledged events does it not have?"""
    first = fleet.primary()
    with under_load(stack, accepted):
        wait_until(lambda: len(accepted) > EVENTS, "events are accepted")
        fleet.kill(first)
        wait_until(lambda: fleet.primary() != first, "Sentinel chose another")
        before = len(accepted)
        fleet.restart(first)
        wait_until(lambda: len(accepted) > before + EVENTS, "the new primary takes events")
    with fleet.client(fleet.primary()) as store:
        return set(accepted) - set(texts(store.zrange("surehook:open", 0, -1)))


def test_an_event_acknowledged_by_every_promotable_replica_survives_a_failover(
    build_stack: Build, fleet_of_three: Fleet
) -> None:
    stack = build_stack()
    stack.start_ingest(SUREHOOK_REDIS_URL=fleet_of_three.url, SUREHOOK_DURABILITY="replicated", SUREHOOK_REPLICAS="2")

    assert lost_in_failover(stack, fleet_of_three, []) == set()


@pytest.mark.chaos
def test_events_lost_by_a_failover_without_waiting_for_replicas_are_counted(
    build_stack: Build, fleet: Fleet, record_property: Callable[[str, object], None]
) -> None:
    """No promise: docs/reliability.md says what asynchronous replication may lose, and this measures it."""
    stack = build_stack()
    stack.start_ingest(SUREHOOK_REDIS_URL=fleet.url)
    accepted: list[str] = []

    lost = lost_in_failover(stack, fleet, accepted)

    record_property("acknowledged", len(accepted))
    record_property("lost", len(lost))
    print(f"\nfailover under DURABILITY=fsync: {len(lost)} of {len(accepted)} acknowledged events are gone")  # noqa: T201


def test_a_primary_without_the_replicas_it_needs_is_not_durable(build_stack: Build, fleet: Fleet) -> None:
    stack = build_stack()
    (replica,) = set(fleet.ports) - {fleet.primary()}
    with fleet.client(replica) as store:
        store.config_set("appendfsync", "everysec")
    stack.surehook("ingest", SUREHOOK_REDIS_URL=fleet.url, SUREHOOK_DURABILITY="replicated")
    wait_until(lambda: "the replica 127.0.0.1" in stack.logged(), "it says which replica, and what is wrong")
    assert "appendfsync is everysec, must be always" in stack.logged()
    assert not stack.is_ready()
    with fleet.client(replica) as store:
        store.config_set("appendfsync", "always")
    wait_until(stack.is_ready, "it is asked again")
    event = an_event()
    assert stack.deliver(event).status_code == 202

    fleet.kill(replica)
    refused = stack.deliver()

    assert refused.status_code == 503
    wait_until(lambda: not stack.is_ready(), "readiness is red")
    # It is stored, but a duplicate's 200 promises as much as a 202.
    assert stack.deliver(event).status_code == 503
    fleet.restart(replica)
    wait_until(stack.is_ready, "it goes on by itself")
    assert stack.deliver(event).status_code == 200
