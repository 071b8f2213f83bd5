"""The requests that the dashboard allows and refuses; tests with a browser are in e2e."""

from typing import Any

import pytest
import redis
from starlette.testclient import TestClient

from surehook.admin.audit import Audit
from surehook.dashboard.rq_app import create_rq_dashboard
from surehook.shared.settings import Settings
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_leases import an_attempt
from tests.support.dashboard import rq_client
from tests.support.ledger import is_balanced

OURS = {"X-Requested-With": "XMLHttpRequest", "Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
READING = {"GET", "HEAD", "OPTIONS"}
CHANGING = {
    "/job/<job_id>/delete": "refused",
    "/job/<job_id>/requeue": "ours",
    "/requeue/<queue_name>": "ours",
    "/queue/<queue_name>/<registry_name>/empty": "refused",
    "/queue/<queue_name>/compact": "refused",
}


@pytest.fixture
def client(settings: Settings) -> TestClient:
    return rq_client(settings)


@pytest.fixture
def die(accept: Accept, claims_of: Any, store: redis.Redis) -> Any:
    def die() -> str:
        event_id = accept()
        store.hset(KEYS.event(event_id), "spent:", 8)
        claims_of().bury(claims_of().claim(), an_attempt(), "tb")
        return event_id

    return die


def test_every_route_that_changes_something_is_known(settings: Settings, store: redis.Redis) -> None:
    """A route that an rq-dashboard upgrade adds is refused by the wrapper and fails here, until we decide about it."""
    rules = create_rq_dashboard(settings, store, "").url_map.iter_rules()

    assert {rule.rule for rule in rules if (rule.methods or set()) - READING} == set(CHANGING)


@pytest.mark.parametrize("rule", [rule for rule, fate in CHANGING.items() if fate == "refused"])
def test_deleting_emptying_and_compacting_are_refused(
    rule: str, die: Any, accept: Accept, client: TestClient, store: redis.Redis
) -> None:
    dead, _ = die(), accept()
    store.rpush("rq:queue:events", "stale")
    before = snapshot(store)

    for registry in ("queued", "failed", "scheduled", "started"):
        path = rule.replace("<job_id>", dead).replace("<queue_name>", "events").replace("<registry_name>", registry)
        assert client.post(path, headers=OURS).status_code == 403

    assert snapshot(store) == before


def test_requeue_gives_the_full_budget(die: Any, client: TestClient, store: redis.Redis) -> None:
    event_id = die()

    answer = client.post(f"/job/{event_id}/requeue", headers=OURS)

    assert (answer.status_code, answer.json()) == (200, {"status": "OK", "count": 1})
    assert store.lrange("rq:queue:events", 0, -1) == [event_id.encode()]
    assert not store.hexists(KEYS.event(event_id), "spent:")
    assert is_balanced(store)
    (entry,) = Audit(store, KEYS).newest()
    assert (entry.who, entry.action, entry.target) == ("dashboard, no login", "replayed", event_id)


def test_a_live_job_is_not_requeued(accept: Accept, claims_of: Any, client: TestClient, store: redis.Redis) -> None:
    event_id = accept()
    claims_of().retry(claims_of().claim(), an_attempt(), "tb", delay_seconds=60, spends_retry=True)

    for job_id in (event_id, "nobody"):
        answer = client.post(f"/job/{job_id}/requeue", headers=OURS)
        assert (answer.status_code, answer.json()) == (200, {"status": "GONE", "count": 0})
    assert store.llen("rq:queue:events") == 0


def test_requeue_all_takes_them_all_also_when_one_has_gone(die: Any, client: TestClient, store: redis.Redis) -> None:
    event_ids = [die() for _ in range(3)]
    store.delete(f"rq:job:{event_ids[1]}")

    answer = client.post("/requeue/events", headers=OURS)

    assert answer.json() == {"status": "OK", "count": 3}
    assert store.zcard("rq:failed:events") == 0
    assert store.llen("rq:queue:events") == 3


def test_reading_changes_nothing(
    die: Any, accept: Accept, client: TestClient, settings: Settings, store: redis.Redis
) -> None:
    dead = die()
    accept()
    before = snapshot(store)

    rules = [str(rule) for rule in create_rq_dashboard(settings, store, "").url_map.iter_rules()]
    fill = {"<int:instance_number>": "0", "<queue_name>": "events", "<registry_name>": "failed", "<job_id>": dead}
    fill |= {"<int:per_page>": "8", "<per_page>": "8", "<order>": "asc", "<int:page>": "1", "<page>": "1"}
    statuses = {}
    for rule in rules:
        path = rule
        for name, value in fill.items():
            path = path.replace(name, value)
        statuses[rule] = client.get(path).status_code

    assert snapshot(store) == before
    assert statuses["/requeue/<queue_name>"] == 405
    assert (
        statuses["/<int:instance_number>/data/jobs/<queue_name>/<registry_name>/<per_page>/<order>/<page>.json"] == 200
    )


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="a form, or curl"),
        pytest.param({**OURS, "Origin": "https://evil.example"}, id="another origin"),
        pytest.param({**OURS, "Origin": "null"}, id="a sandboxed page"),
        pytest.param({**OURS, "Sec-Fetch-Site": "cross-site"}, id="another site"),
        pytest.param({**OURS, "Sec-Fetch-Site": "same-site"}, id="another port"),
        pytest.param({**OURS, "X-Requested-With": ""}, id="without jQuery's header"),
        pytest.param(
            {**OURS, "Host": "evil.example", "Origin": "http://evil.example"}, id="a name that leads to loopback"
        ),
    ],
)
def test_another_sites_page_requeues_nothing(
    headers: dict[str, str], die: Any, client: TestClient, store: redis.Redis
) -> None:
    event_id = die()

    assert client.post("/requeue/events", headers=headers).status_code == 403
    assert client.post(f"/job/{event_id}/requeue", headers=headers).status_code == 403

    assert store.zcard("rq:failed:events") == 1


def test_with_a_login_any_name_will_do(settings: Settings, die: Any) -> None:
    with_login = Settings(data_dir=settings.data_dir, dashboard_login="operator:a-password")
    client = rq_client(with_login)
    headers = {**OURS, "Host": "ops.example", "Origin": "https://ops.example"}
    die()

    assert client.post("/requeue/events", headers=headers).status_code == 401
    assert client.post("/requeue/events", headers=headers, auth=("operator", "a-password")).json() == {
        "status": "OK",
        "count": 1,
    }


def snapshot(store: redis.Redis) -> dict[bytes, Any]:
    return {key: store.dump(key) for key in store.scan_iter()}
