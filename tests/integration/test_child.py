"""The supervisor gives back the jobs of a dead process, which it reads from shared memory."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from surehook.shared.restart_policy import RestartPolicy
from surehook.shared.scripts import texts
from surehook.shared.settings import Settings
from surehook.workers.queue.claims import LEASE_SECONDS, ClaimState
from surehook.workers.slots import Slots
from surehook.workers.supervisor import interruption
from surehook.workers.supervisor.child import Child
from surehook.workers.supervisor.interruption import interrupt
from surehook.workers.supervisor.plan import Plan
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_leases import NO_HANDLERS
from tests.support.limited import StoreClock, clock
from tests.support.order_machine import an_attempt

__all__ = ["clock"]  # a fixture of tests.support


@pytest.fixture
def child(tmp_path: Path, settings: Settings) -> Child:
    """A process that was killed by a signal."""
    dead = subprocess.Popen([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
    dead.wait()
    return Child(
        "events",
        "child",
        4,
        dead,
        Slots.create(tmp_path / "slots", 8),
        RestartPolicy(),
        Plan(settings, NO_HANDLERS, ()),
    )


@pytest.mark.parametrize(
    ("culprits", "counted"), [(None, ["started", "ran"]), (("started",), ["started"]), ((), [])], ids=str
)
def test_only_started_jobs_of_a_dead_process_are_interrupted_and_only_overdue_ones_count(
    culprits: Any,
    counted: list[str],
    child: Child,
    accept: Accept,
    claims_of: Any,
    store: redis.Redis,
    settings: Settings,
) -> None:
    ids = {accept(): name for name in ("started", "ran", "reserved", "never noted")}
    claims = claims_of("child")
    arguments = claims.exchange_arguments(1, (), wanted=4, starting=2)
    held = {
        ids[claim.job_id]: claim for claim in claims.parse_reply(claims.exchange_script().run(store, *arguments)).claims
    }
    for place, name in enumerate(("started", "ran", "reserved")):
        child.slots.reserve(place, held[name].key)
    for place in (0, 1):
        child.slots.start(place, 1.0)
    child.slots.ran(1)
    child.culprits = None if culprits is None else {held[name].key: "" for name in culprits}

    assert not child.has_ended_cleanly
    child.give_back(store, settings, NO_HANDLERS, counts=True)

    assert store.llen("rq:queue:events") == 4
    known = {name: store.hmget(KEYS.event(id_), "runs:", "interrupted:") for id_, name in ids.items()}
    assert {name for name, (runs, _) in known.items() if runs == b"1"} == {"started", "ran"}
    assert [name for name, (_, interrupted) in known.items() if interrupted == b"1"] == counted
    assert not store.exists(KEYS.leases("events"))


def test_runs_of_a_dead_process_are_counted_although_the_store_takes_longer_than_a_lease(
    child: Child,
    accept: Accept,
    claims_of: Any,
    store: redis.Redis,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    clock: StoreClock,
) -> None:
    ids = [accept() for _ in range(8)]
    claims, recovery = claims_of("child"), claims_of("recovery")
    arguments = claims.exchange_arguments(1, (), wanted=8, starting=0)  # too short to be shown as running
    reply = claims.exchange_script().run(store, *arguments)
    for place, claim in enumerate(claims.parse_reply(reply).claims):
        child.slots.reserve(place, claim.key)
        child.slots.ran(place)
    taken: list[str] = []

    def interrupt_slowly(*arguments: Any, **options: Any) -> str:
        clock.advance(LEASE_SECONDS * 1000 / 4)
        expired = texts(store.zrangebyscore(KEYS.leases("events"), "-inf", clock.now))
        taken.extend(
            recovery.interrupt(key, an_attempt("it"), state=ClaimState.EXPIRED, counts=True) for key in expired
        )
        return interrupt(*arguments, **options)

    monkeypatch.setattr("surehook.workers.supervisor.child.interrupt", interrupt_slowly)
    monkeypatch.setattr(interruption, "time", SimpleNamespace(monotonic=lambda: clock.now / 1000))

    interrupted = child.give_back(store, settings, NO_HANDLERS, counts=True)

    assert (interrupted, taken) == (len(ids), [])


def test_only_started_handlers_past_their_deadline_are_overdue(child: Child) -> None:
    child.slots.reserve(0, "reserved")
    child.slots.reserve(1, "started")
    child.slots.start(1, 100.0)

    assert child.slots.overdue(99.0) == []
    assert [slot.key for slot in child.slots.overdue(101.0)] == ["started"]
    child.slots.ran(1)
    assert child.slots.overdue(101.0) == []
