"""`surehook reconcile` knows old ids and erased events, and goes by the clock of FusionAuth."""

import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from surehook.admin.erasure import Erasure
from surehook.admin.reconciliation import last_statement
from surehook.fusionauth.simulator.http_client import Fault
from surehook.shared.encryption import BodyCipher
from surehook.shared.keys import Keys
from surehook.shared.scripts import texts
from surehook.shared.settings import Settings
from surehook.workers.handlers.registry import on
from tests.integration.conftest import Accept, RunWorker
from tests.support.command import Surehook
from tests.support.missed_events import FusionAuth, fusionauth, open_fusionauth, statement_of, surehook
from tests.support.simulated_fusionauth import an_event

__all__ = ["fusionauth", "open_fusionauth", "surehook"]  # fixtures of tests.support

KEYS = Keys()
HOUR_MS = 3_600_000
USER = "6b1c5c9e-0000-4000-8000-000000000000"


def queued(store: redis.Redis) -> list[str]:
    return texts(store.lrange(KEYS.rq_queue("events"), 0, -1))


def test_an_event_of_which_only_the_id_is_kept_has_arrived(
    fusionauth: FusionAuth, surehook: Surehook, store: redis.Redis, accept: Accept, run_worker: RunWorker
) -> None:
    on("*", name="seen")(lambda event: None)
    handled = fusionauth.fire(1, fault=Fault.LOST_RESPONSE, age_ms=26 * HOUR_MS)
    accept(**an_event(1) | {"event_type": "user.create"})
    run_worker(1)
    store.delete(KEYS.event(handled))  # RETENTION has passed
    missed = fusionauth.fire(2, status=503, age_ms=25 * HOUR_MS)

    _, statement = statement_of(surehook, "--since", "30h")

    counts = {name: statement[name] for name in ("arrived", "recovered", "too_old")}
    assert counts == {"arrived": 1, "recovered": 1, "too_old": 0}
    assert queued(store) == [missed]


@pytest.mark.parametrize("is_done", [False, True])
def test_erased_events_do_not_come_back(
    is_done: bool,
    fusionauth: FusionAuth,
    surehook: Surehook,
    store: redis.Redis,
    accept: Accept,
    run_worker: RunWorker,
) -> None:
    on("*", name="seen")(lambda event: None)
    event_id = fusionauth.fire(1, fault=Fault.LOST_RESPONSE, user={"id": USER, "email": "gone@x.y"})
    accept(**an_event(1) | {"event_type": "user.create", "user": {"id": USER}})
    if is_done:
        run_worker(1)
    Erasure(store, KEYS, BodyCipher(), retention_seconds=60).erase(event_id)

    _, statement = statement_of(surehook)

    assert (statement["arrived"], statement["recovered"], queued(store)) == (1, 0, [])
    assert "gone@x.y" not in "".join(texts(store.hvals(KEYS.event(event_id))))


@pytest.mark.parametrize("hours", [-3, 3], ids=["behind", "ahead"])
def test_fusionauths_clock_may_differ_by_hours(hours: int, fusionauth: FusionAuth, surehook: Surehook) -> None:
    fusionauth.age_ms = -hours * HOUR_MS
    fusionauth.fire(1, status=503)
    status, output = surehook("reconcile", "--rate", "1000", "--json")
    fusionauth.fire(2, status=503, age_ms=40_000)

    _, second = statement_of(surehook)

    assert status == 0
    assert "FusionAuth's clock is 3:00:0" in output
    assert json.loads(output.splitlines()[-1])["recovered"] == 1
    assert (second["arrived"], second["recovered"]) == (1, 1)


def test_after_fusionauths_clock_was_put_back_the_time_that_comes_again_is_read_again(
    fusionauth: FusionAuth, surehook: Surehook
) -> None:
    fusionauth.age_ms = -3 * HOUR_MS
    assert statement_of(surehook)[0] == 0
    fusionauth.age_ms = 0
    assert statement_of(surehook)[0] == 0
    fusionauth.age_ms = -HOUR_MS // 2
    fusionauth.fire(1, status=503)

    assert statement_of(surehook)[1]["recovered"] == 1


def test_a_running_operation_is_judged_by_fusionauths_clock(fusionauth: FusionAuth, surehook: Surehook) -> None:
    fusionauth.age_ms = 3 * HOUR_MS + 120_000
    fusionauth.deliverer.interrupt(an_event(1))
    fusionauth.age_ms = 3 * HOUR_MS

    _, statement = statement_of(surehook)

    assert (statement["running"], statement["interrupted"]) == (1, 0)


def test_a_run_for_a_chosen_webhook_does_not_hide_what_others_missed(
    fusionauth: FusionAuth, surehook: Surehook, settings: Settings, store: redis.Redis
) -> None:
    fusionauth.fire(1, status=503)
    other = "99999999-0000-4000-8000-000000000000"

    _, first = statement_of(surehook, "--webhook", other)
    kept: Any = last_statement(store, KEYS)
    _, second = statement_of(surehook)

    assert (first["fired"], second["recovered"]) == (0, 1)
    assert kept.decided_until is not None
    assert (kept.is_complete, kept.counts["fired"]) == (True, 0)
    assert "fired 0 events for us" in kept.sentences[0]
    assert store.hkeys(KEYS.reconciled) == [f"until {other}".encode(), b"statement", b"until"]


def test_there_is_no_statement_before_the_first_run(store: redis.Redis) -> None:
    assert last_statement(store, KEYS) is None


def test_with_every_a_run_that_fails_is_repeated_within_a_minute(
    fusionauth: FusionAuth, surehook: Surehook, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def pause(seconds: float) -> None:
        now[0] += seconds
        store.delete(KEYS.reconcile_lock)
        if now[0] > 61:
            sys.exit(0)

    monkeypatch.setattr("surehook.verbs.reconcile.time", SimpleNamespace(monotonic=lambda: now[0], sleep=pause))
    fusionauth.fire(1, status=503)
    store.set(KEYS.reconcile_lock, "a run that was killed", px=60_000)

    _, output = surehook("reconcile", "--every", "1h", "--rate", "1000")

    assert "another `surehook reconcile` runs" in output
    assert "1 was recovered" in output
