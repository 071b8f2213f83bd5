"""Events that FusionAuth fires while the receiver is gone take effect once, after `surehook reconcile` (P10)."""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from harness.stack import API_KEY, Stack, wait_until
from surehook.fusionauth.sample_parts import APPLICATION_ID, TENANT_ID
from surehook.fusionauth.simulator.delivery import Attempt, Deliverer
from surehook.fusionauth.simulator.http_client import Fault
from surehook.fusionauth.simulator.instance import Instance
from surehook.fusionauth.simulator.operations import Tally, run
from surehook.fusionauth.simulator.population import Population
from surehook.fusionauth.simulator.quirks import Version
from surehook.fusionauth.simulator.server import ApiServer
from surehook.shared.event_types import EVENT_TYPES
from tests.support.simulated_fusionauth import GLOBAL_KEY, a_webhook

EVENTS = int(os.environ.get("SIMULATED_EVENTS", "900"))
SEED = int(os.environ.get("SIMULATED_SEED", "20"))
HOUR_MS = 3_600_000
FAULTS = (Fault.LOST_RESPONSE, Fault.NOT_SENT, Fault.SENT_TWICE, Fault.CUT_BODY)

HANDLERS = """
from surehook import Reject

@on("user.create", transactional=True)
def no_hana(event):
    if event.user.first_name == "Hana":
        raise Reject("no Hana")
    effect(event.id)

@on("*")
def everything_else(event):
    if event.type != "user.create":
        effect(event.id)

@on("user.update.complete", ordered_by="user", latest_only=True)
def mirror(event):
    name = f"mirror-{event.user.id}"
    with open(name + ".new", "w") as file:
        file.write(event.user.last_name)
    os.replace(name + ".new", name)
"""


class World:
    """A population whose FusionAuth lives an hour ago, so that everything in its log is over when it is read."""

    def __init__(self, stack: Stack) -> None:
        self.chance = random.Random(SEED)  # noqa: S311 - a reproducible choice is wanted
        # Pages of this version run short.
        self.instance = Instance(
            version=Version("1.55.0"),
            now_ms=lambda: int(time.time() * 1000) - HOUR_MS,
            page_limit=lambda rows: max(1, rows - 7),
        )
        self.instance.add_api_key(GLOBAL_KEY)
        events = {name: {"enabled": True, "transactionType": "None"} for name in EVENT_TYPES}
        events["user.create"]["transactionType"] = "AbsoluteMajority"
        self.instance.save_tenant({"name": "t", "eventConfiguration": {"events": events}}, TENANT_ID)
        webhook = a_webhook(
            url=stack.url, headers={"Authorization": API_KEY}, eventsEnabled=dict.fromkeys(EVENT_TYPES, True)
        )
        self.instance.save_webhook(webhook)
        self.attempts: dict[str, list[Attempt]] = {}
        self.deliverer = Deliverer(self.instance, fault_of=self.fault_of, on_attempt=self.record)
        self.population = Population(SEED, TENANT_ID, APPLICATION_ID, self.instance.now_ms, import_size=3)
        self.tally = Tally()
        self.interrupted: list[Mapping[str, Any]] = []

    def fault_of(self, event: Mapping[str, Any], _: object) -> Fault | None:
        return self.chance.choice(FAULTS) if self.chance.random() < 0.05 else None

    def record(self, attempt: Attempt, event: Mapping[str, Any]) -> None:
        self.attempts.setdefault(str(event["id"]), []).append(attempt)

    def fire(self, until: int) -> None:
        for operation in self.population.operations():
            if self.tally.events >= until:
                return
            run(operation, self.deliverer, self.tally)

    def restart(self) -> None:
        """FusionAuth stops in the middle of two operations: one in its transaction, one after it."""
        user = next(iter(self.population.users.values()))
        for name in ("user.update", "user.password.update"):
            self.interrupted.append(self.population.event(name, user=user))
            self.deliverer.interrupt(self.interrupted[-1])


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_every_committed_event_takes_effect_once_and_none_that_was_rolled_back(
    build_stack: Callable[..., Stack],
) -> None:
    stack = build_stack(HANDLERS)
    more = {"SUREHOOK_TRANSACTIONAL_EVENTS": "user.create", "SUREHOOK_SPOOL_DIR": "off"}
    ingest = stack.start_ingest(**more)
    stack.start_worker(**more)
    wait_until(lambda: "[unavailable]" not in stack.run("trigger", "user.create", "--transaction", "None").stdout)
    before = len(stack.effects())
    world = World(stack)

    world.fire(EVENTS // 3)
    ingest.kill()
    world.fire(EVENTS * 2 // 3)
    world.restart()
    stack.start_ingest(**more)
    world.fire(EVENTS)

    with ApiServer(world.instance) as api:
        asked = {"SUREHOOK_FUSIONAUTH_URL": api.url, "SUREHOOK_FUSIONAUTH_API_KEY": GLOBAL_KEY}
        first, second = (reconcile(stack, asked) for _ in range(2))
    wait_until(lambda: json.loads(stack.run("ledger", "--json").stdout)["open"] == 0, "all events are closed")

    ran = Counter(stack.effects()[before:])
    committed = world.tally.committed_ids | {str(world.interrupted[1]["id"])}
    contradicted = successes_that_were_rolled_back(world)
    assert set(ran) - contradicted == committed
    assert set(ran.values()) == {1}, [event_id for event_id, count in ran.items() if count > 1]
    assert first["fired"] == len(committed)
    assert first["arrived"] + first["recovered"] == len(committed)
    assert first["recovered"] > EVENTS // 5
    assert first["rolled_back"] == len(world.tally.rolled_back_ids)
    assert first["contradicted"] == len(contradicted & set(ran))
    assert first["interrupted"] == 1
    assert (second["arrived"], second["recovered"]) == (len(committed), 0)
    for user in world.population.users.values():
        mirrored = stack.folder / f"mirror-{user['id']}"
        assert not mirrored.exists() or mirrored.read_text() == user["lastName"]
    world.deliverer.close()


def successes_that_were_rolled_back(world: World) -> set[str]:
    """Our answer was lost on the way, so FusionAuth rolled back although the handlers had succeeded."""
    lost = {Fault.LOST_RESPONSE, Fault.SENT_TWICE}
    return {
        event_id
        for event_id in world.tally.rolled_back_ids
        if any(attempt.fault in lost for attempt in world.attempts[event_id])
    }


def reconcile(stack: Stack, asked: dict[str, str]) -> dict[str, Any]:
    ran = stack.run("reconcile", "--since", "3h", "--rate", "1000", "--json", **asked)
    statement: dict[str, Any] = json.loads(ran.stdout)
    return statement
