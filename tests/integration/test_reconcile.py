"""`surehook reconcile` fetches from a simulated FusionAuth what did not arrive, and runs it once."""

import json
import re
import time
from pathlib import Path
from typing import Any

import redis

from surehook.fusionauth.sample_parts import TENANT_ID
from surehook.fusionauth.simulator.http_client import Fault
from surehook.shared.keys import Keys
from surehook.shared.scripts import texts
from surehook.shared.settings import Settings
from surehook.shared.store_metrics import StoreGauges
from surehook.workers.handlers.registry import on
from tests.integration.conftest import Accept, RunWorker
from tests.integration.test_simulated_delivery import Receiver
from tests.support.command import Surehook
from tests.support.missed_events import FusionAuth, fusionauth, open_fusionauth, statement_of, surehook
from tests.support.simulated_fusionauth import a_tenant, a_webhook, an_event

__all__ = ["fusionauth", "open_fusionauth", "surehook"]  # fixtures of tests.support


KEYS = Keys()
PAGE = Path(__file__).parents[2] / "docs" / "missed-events.md"


def queued(store: redis.Redis) -> list[str]:
    return texts(store.lrange(KEYS.rq_queue("events"), 0, -1))


def test_events_that_did_not_arrive_run_in_the_order_they_were_fired(
    fusionauth: FusionAuth, surehook: Surehook, store: redis.Redis, accept: Accept, run_worker: RunWorker
) -> None:
    ran: list[str] = []
    on("*", name="seen")(lambda event: ran.append(str(event.id)))
    missed = [fusionauth.fire(1, fault=Fault.NOT_SENT), fusionauth.fire(2, status=503)]
    arrived = fusionauth.fire(3, fault=Fault.LOST_RESPONSE)
    accept(**an_event(3) | {"event_type": "user.create"})

    status, statement = statement_of(surehook)

    assert status == 0
    assert (statement["fired"], statement["arrived"], statement["recovered"]) == (3, 1, 2)
    run_worker(4)
    assert ran == [arrived, *missed]
    assert store.hget(KEYS.event(missed[0]), "source") == b"reconcile"


def test_a_second_run_finds_everything_there_and_begins_where_the_first_ended(
    fusionauth: FusionAuth, surehook: Surehook, store: redis.Redis
) -> None:
    fusionauth.fire(1, status=500)
    assert statement_of(surehook)[1]["recovered"] == 1

    _, statement = statement_of(surehook)

    assert (statement["arrived"], statement["recovered"]) == (1, 0)
    assert len(queued(store)) == 1
    until: Any = store.hget(KEYS.reconciled, "until")
    assert abs(int(until) - time.time() * 1000) < 60_000


def test_transactional_handlers_run_for_what_fusionauth_committed_and_never_for_what_it_rolled_back(
    fusionauth: FusionAuth, surehook: Surehook, run_worker: RunWorker
) -> None:
    ran: list[str] = []
    on("user.create", name="decides", transactional=True)(lambda event: ran.append(str(event.id)))
    committed = fusionauth.fire(1, status=503)
    fusionauth.instance.save_tenant(a_tenant("AbsoluteMajority"), TENANT_ID)
    fusionauth.fire(2, status=503)

    _, statement = statement_of(surehook)

    run_worker(3)
    assert (statement["recovered"], statement["rolled_back"]) == (1, 1)
    assert ran == [committed]


def test_a_dry_run_changes_nothing_and_exits_with_1(
    fusionauth: FusionAuth, surehook: Surehook, store: redis.Redis
) -> None:
    fusionauth.fire(1, status=500)

    status, output = surehook("reconcile", "--dry-run", "--rate", "1000")

    assert (status, queued(store), store.exists(KEYS.reconciled)) == (1, [], 0)
    assert "1 could be recovered" in output


def test_events_of_another_webhook_and_types_that_are_off_are_not_missing(
    fusionauth: FusionAuth, surehook: Surehook, store: redis.Redis
) -> None:
    other = Receiver(202)
    fusionauth.instance.save_webhook({**fusionauth.webhook, "eventsEnabled": {}}, fusionauth.webhook["id"])
    fusionauth.instance.save_webhook(a_webhook(url=other.url))
    fusionauth.fire(1)
    other.shutdown()
    other.server_close()

    _, statement = statement_of(surehook)

    assert (statement["fired"], queued(store)) == (0, [])


def test_only_one_run_at_a_time(fusionauth: FusionAuth, surehook: Surehook, store: redis.Redis) -> None:
    store.set(KEYS.reconcile_lock, "another", px=60_000)

    status, output = surehook("reconcile")

    assert status == 1
    assert "another `surehook reconcile` runs" in output
    assert store.get(KEYS.reconcile_lock) == b"another"


def test_the_lock_is_released_and_the_statement_kept(
    fusionauth: FusionAuth, surehook: Surehook, store: redis.Redis
) -> None:
    fusionauth.fire(1, status=500)

    statement_of(surehook)

    assert store.exists(KEYS.reconcile_lock) == 0
    kept: Any = store.hget(KEYS.reconciled, "statement")
    assert json.loads(kept)["recovered"] == 1


def test_the_commands_of_the_page_run(fusionauth: FusionAuth, surehook: Surehook) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    commands = [line.split()[1:] for block in blocks for line in block.splitlines() if line.startswith("surehook ")]
    once = [command for command in commands if "--every" not in command]

    assert len(commands) == len(once) + 1 == 3
    for command in once:
        assert surehook(*command)[0] == 0, command


def test_the_last_statement_is_a_metric(fusionauth: FusionAuth, surehook: Surehook, settings: Settings) -> None:
    fusionauth.fire(1, status=500)
    before = {metric.name for metric in StoreGauges(settings).collect()}
    statement_of(surehook)

    after = {metric.name: metric for metric in StoreGauges(settings).collect()}

    assert "surehook_missed_events" not in before
    recovered = {sample.labels["state"]: sample.value for sample in after["surehook_missed_events"].samples}
    states = ("recovered", "too_old", "too_large", "unusable", "interrupted", "contradicted", "unreadable")
    assert recovered == dict.fromkeys(states, 0) | {"recovered": 1}
    assert after["surehook_missed_events_complete"].samples[0].value == 1
    assert abs(after["surehook_reconciled_until_seconds"].samples[0].value - time.time()) < 60
