"""The pages of queues, handlers, transactions and the ledger on a real store."""

import json
import re
from typing import Any
from uuid import uuid4

import pytest
import redis
from starlette.testclient import TestClient

from surehook.dashboard.history import BARS, History
from surehook.dashboard.views import dead_letters, ledger, transactions
from surehook.shared.minutes import Minutes
from surehook.shared.settings import Settings
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_dashboard_requests import die
from tests.support.dashboard import site_client

__all__ = ["die"]  # a fixture

NOW_MINUTE = 30_000_000
HANDLER = {
    "types": ["user.delete"], "queue": "events", "retries": 8, "timeout": 30, "transactional": False,
    "limits": ["rate=100/m"], "announced_at": 0,
}  # fmt: skip


@pytest.fixture
def client(settings: Settings) -> TestClient:
    return site_client(settings)


def test_queues_show_their_jobs_and_what_holds_them_back(
    accept: Accept, die: Any, client: TestClient, store: redis.Redis
) -> None:
    die()
    accept()
    store.sadd(KEYS.paused, "events")

    shown = client.get("/queues").text

    assert '<tr id="row-events">' in shown
    assert '<div class="needs-you">paused</div>' in shown
    assert re.findall(r'<td class="number[^"]*">([\d–]+)</td>', shown)[:6] == ["1", "0", "0", "0", "1", "0"]  # noqa: RUF001


def test_handlers_show_their_runs_in_the_chosen_hours(settings: Settings, store: redis.Redis) -> None:
    client = site_client(settings, clock=lambda: NOW_MINUTE * 60 + 30.0)
    store.hset(KEYS.handlers, "delete_todos", json.dumps(HANDLER))
    Minutes(store, KEYS).write(
        [(NOW_MINUTE, "r:delete_todos:done", 5), (NOW_MINUTE - 200, "r:delete_todos:failed", 2),
         (NOW_MINUTE, "r:-:audit-log.create", 7)]
    )  # fmt: skip

    pages = {hours: page_of(client, hours) for hours in (1, 6, 24, 72)}

    assert 'aria-label="delete_todos: 5 runs; at most 5 in a minute"' in pages[1]
    for hours in (6, 24, 72):
        assert 'aria-label="delete_todos: 7 runs, 2 failed; at most 5 in ' in pages[hours]
    assert "no worker runs it now" in pages[1]
    assert "rate=100/m" in pages[1]
    assert "audit-log.create</a> 7" in pages[1]


def page_of(client: TestClient, hours: int) -> str:
    answer = client.get(f"/handlers?hours={hours}")
    assert answer.status_code == 200
    return str(answer.text)


@pytest.mark.parametrize("hours", ["0", "2", "x", "9" * 500, ""])
def test_other_hours_are_refused(hours: str, client: TestClient) -> None:
    assert client.get(f"/handlers?hours={hours}").status_code == 400


def test_minutes_that_are_over_are_read_once(store: redis.Redis) -> None:
    minutes = Minutes(store, KEYS)
    minutes.write([(NOW_MINUTE - 10, "r:it:done", 1), (NOW_MINUTE, "r:it:done", 1)])
    now = [NOW_MINUTE * 60.0]
    history = History(store, KEYS, lambda: now[0])
    before = history.read(1)["it"]
    store.delete(KEYS.minute(NOW_MINUTE - 10))
    minutes.write([(NOW_MINUTE, "r:it:failed", 1)])

    after = history.read(1)["it"]

    assert len(before) == len(after) == BARS
    assert [(bar.good, bar.failed) for bar in after if bar.good] == [(1, 0), (1, 1)]
    now[0] += 80 * 3600
    assert history.read(1) == {}


def test_transactions_are_listed_by_state(client: TestClient, store: redis.Redis) -> None:
    orphan, refused = str(uuid4()), str(uuid4())
    store.zadd(KEYS.orphans, {orphan: 1_700_000_000_000})
    store.zadd(KEYS.decided("rejected"), {refused: 1_700_000_000_000})
    store.hset(KEYS.event(orphan), mapping={"type": "user.create", "outcome": "failed"})
    store.hset(KEYS.event(refused), mapping={"type": "user.create", "reason": "only company addresses"})

    orphans, rejected = client.get("/transactions").text, client.get("/transactions?state=rejected").text

    assert orphan in orphans
    assert refused not in orphans
    assert "only company addresses" in rejected
    assert client.get("/transactions?state=broken").status_code == 400
    assert "1 orphan<" in client.get("/").text


@pytest.mark.parametrize("decision", ["completed", "rejected", "failed", "abandoned"])
def test_an_event_says_what_fusionauth_was_told(
    decision: str, accept: Accept, client: TestClient, store: redis.Redis
) -> None:
    event_id, plain = accept(), accept()
    store.hset(KEYS.event(event_id), mapping={"decision": decision, "decided_at": 1_700_000_000_000})

    shown = client.get(f"/events/{event_id}").text

    assert f"<dt>Transaction</dt><dd>{decision} <time" in shown
    assert "orphan" not in shown
    assert "<dt>Transaction</dt>" not in client.get(f"/events/{plain}").text


def test_an_orphan_is_one_on_its_own_page_too_and_is_resolved_there(
    accept: Accept, client: TestClient, store: redis.Redis
) -> None:
    event_id = accept()
    store.hset(KEYS.event(event_id), mapping={"decision": "abandoned", "decided_at": 1_700_000_000_000})
    store.zadd(KEYS.orphans, {event_id: 1_700_000_000_000})

    shown = client.get(f"/events/{event_id}").text

    assert '<span class="state needs-you">orphaned</span>' in shown
    assert f'<button name="event" value="{event_id}">Resolve' in shown


def test_a_long_list_of_dead_letters_says_that_there_are_more(
    die: Any, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "LIMIT", 1)
    for number in range(2):
        die()
        assert ("The first 1; filters show others." in client.get("/dead-letters").text) is (number == 1)


def test_a_long_list_of_transactions_says_where_the_rest_is(
    client: TestClient, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "MOST_SHOWN", 1)
    for number in range(2):
        orphan = str(uuid4())
        store.zadd(KEYS.orphans, {orphan: number})
        store.hset(KEYS.event(orphan), "outcome", "failed")
        shown = client.get("/transactions").text
        assert ("surehook events list --state orphaned --limit" in shown) is (number == 1)


def test_with_many_open_events_the_command_checks_them(
    accept: Accept, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "MOST_CHECKED", 1)
    accept(), accept()

    shown = client.get("/ledger?check=yes").text

    assert "<code>surehook ledger</code> checks every open event" in shown
    assert 'name="check"' not in shown
    assert "The ledger balances" not in shown


def test_the_ledger_says_whether_it_balances(accept: Accept, die: Any, client: TestClient, store: redis.Redis) -> None:
    die()
    lost = accept()

    assert "The counts balance." in client.get("/ledger").text
    checked = client.get("/ledger?check=yes").text
    assert "The ledger balances: every accepted event" in checked
    assert "data-live" not in checked, "a check is not repeated every few seconds"

    store.lrem("rq:queue:events", 0, lost)
    assert "cannot be accounted for" in client.get("/").text
    checked = client.get("/ledger?check=yes").text
    assert "The ledger does not balance." in checked
    assert f'<li class="id">{lost}</li>' in checked


def test_the_ledger_shows_the_spool(settings: Settings, tmp_path: Any) -> None:
    client = site_client(settings.model_copy(update={"spool_dir": str(tmp_path)}))
    (tmp_path / "spool-1.db").write_bytes(b"no database at all")

    assert client.get("/ledger").status_code == 200
    assert client.get("/").status_code == 200
