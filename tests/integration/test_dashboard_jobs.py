"""Jobs that are pickled, garbage, or another application's: nothing of them runs, and all are listed."""

import json
import pickle
import tracemalloc
import zlib
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import redis
from starlette.testclient import TestClient

from surehook.dashboard.rq_jobs import NOT_JSON, UNREADABLE
from surehook.shared.settings import Settings
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_dashboard_requests import OURS, die, snapshot
from tests.support.dashboard import rq_client

__all__ = ["die"]  # a fixture

NOW = "2026-11-28T10:00:00.000000Z"
REGISTRIES = ("failed", "finished", "deferred", "scheduled", "canceled")


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.fixture
def client(settings: Settings) -> TestClient:
    return rq_client(settings)


def put(store: redis.Redis, job_id: str, queue: str, **fields: bytes | str) -> None:
    store.sadd("rq:queues", f"rq:queue:{queue}")
    given: dict[Any, Any] = {
        "data": b"{}", "created_at": NOW, "ended_at": NOW, "origin": queue, "status": "failed", "description": job_id,
    }  # fmt: skip
    store.hset(f"rq:job:{job_id}", mapping=given | fields)


def listed(client: TestClient, queue: str, registry: str) -> dict[str, Any]:
    found = read(client, f"/0/data/jobs/{queue}/{registry}/100/asc/1.json")
    return {job["id"]: job for job in found["jobs"]}


def read(client: TestClient, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.json()


@pytest.mark.parametrize("queue", ["events", "other"])
def test_nothing_in_the_store_is_unpickled(queue: str, client: TestClient, store: redis.Redis, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    bomb = pickle.dumps(Bomb(touched))
    packed = b64encode(bomb)
    put(store, "data", queue, data=bomb)
    put(store, "packed", queue, data=zlib.compress(bomb))
    put(store, "meta", queue, meta=bomb)
    put(store, "result", queue, result=bomb, status="finished")
    put(store, "kept", queue)
    store.xadd("rq:results:kept", {"type": "1", "return_value": packed})
    jobs = ("data", "packed", "meta", "result", "kept")
    for registry in REGISTRIES:
        store.zadd(f"rq:{registry}:{queue}", dict.fromkeys(jobs, 1))
    store.zadd(f"rq:wip:{queue}", {f"{job}:run": 1 for job in jobs})
    store.rpush(f"rq:queue:{queue}", *jobs)
    store.sadd("rq:workers", "rq:worker:theirs")
    store.hset("rq:worker:theirs", mapping={"queues": queue, "state": "busy", "birth": NOW})
    store.sadd("rq:worker:theirs:executions", "data:run")
    store.hset("rq:execution:data:run", mapping={"created_at": NOW, "last_heartbeat": NOW})
    before = snapshot(store)

    for registry in (*REGISTRIES, "started", "queued"):
        assert set(listed(client, queue, registry)) == set(jobs), registry
    told = {job: read(client, f"/0/data/job/{job}.json") for job in jobs}
    pages = [client.get(f"/0/view/job/{job}").status_code for job in jobs]
    workers = read(client, "/0/data/workers.json")["workers"]
    for path in ("/", "/0/view/workers", "/0/data/queues.json", f"/0/view/jobs/{queue}/failed/8/asc/1"):
        assert client.get(path).status_code == 200

    assert not touched.exists()
    assert snapshot(store) == before
    assert pages == [200] * len(jobs)
    assert told["kept"]["result"] == NOT_JSON
    assert told["result"]["result"] in {None, NOT_JSON}  # RQ 3 no longer reads it
    assert json.loads(told["meta"]["metadata"]) == NOT_JSON
    assert workers[0]["current_job"]["job_id"] == "data"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"created_at": "yesterday"}, id="date"),
        pytest.param({"status": "<img>"}, id="status"),
        pytest.param({"description": b"\xff\xfe"}, id="text"),
        pytest.param({"retries_left": "many"}, id="number"),
        pytest.param({"dependency_ids": "["}, id="list"),
    ],
)
def test_a_job_that_rq_cannot_read_does_not_hide_the_others(
    fields: dict[str, Any], client: TestClient, store: redis.Redis
) -> None:
    put(store, "good", "events")
    put(store, "bad", "events", **fields)
    store.zadd("rq:failed:events", {"good": 1, "bad": 1, "gone": 1})

    jobs = listed(client, "events", "failed")
    page = client.get("/0/view/job/bad")

    assert set(jobs) == {"good", "bad"}
    assert jobs["bad"]["description"] == UNREADABLE
    assert page.status_code == 422
    assert "cannot be shown" in page.text


def test_results_and_keys_of_another_kind_do_not_hide_the_others(client: TestClient, store: redis.Redis) -> None:
    for job in ("good", "garbage", "list"):
        put(store, job, "events")
    store.xadd("rq:results:garbage", {"type": "2", "exc_string": "no base64"})
    store.rpush("rq:results:list", "no stream")
    store.rpush("rq:job:string", "no hash")
    store.zadd("rq:failed:events", dict.fromkeys(("good", "garbage", "list", "string", "<img src=x>"), 1))

    assert set(listed(client, "events", "failed")) == {"good", "garbage", "list", "string", "<img src=x>"}
    assert client.get("/0/view/job/list").status_code == 422
    for job_id in ("none", "no:id", "%0aERROR", "%3Cimg%20src=x%3E"):
        assert client.get(f"/0/view/job/{job_id}").status_code == 404
        assert client.get(f"/0/data/job/{job_id}.json").status_code == 404


def test_a_worker_that_rq_cannot_read_does_not_hide_the_others(client: TestClient, store: redis.Redis) -> None:
    store.sadd("rq:workers", "rq:worker:good", "rq:worker:bad", "rq:worker:lost")
    store.hset("rq:worker:good", mapping={"queues": "events", "state": "busy"})
    store.hset("rq:worker:bad", mapping={"queues": "events", "state": "busy", "birth": "long ago"})
    store.sadd("rq:worker:good:executions", "gone:run", "over:run")
    store.hset("rq:execution:gone:run", mapping={"created_at": NOW, "last_heartbeat": NOW})
    before = snapshot(store)

    workers = read(client, "/0/data/workers.json")["workers"]

    assert [worker["name"] for worker in workers] == ["good"]
    assert workers[0]["current_job"] == "idle"
    assert snapshot(store) == before


def test_an_entry_that_is_no_queue_does_not_hide_the_others(client: TestClient, store: redis.Redis) -> None:
    store.sadd("rq:queues", "rq:queue:events", "nonsense", b"\xff", b"rq:queue:\xff", "rq:queue:a/b", "rq:queue:")

    names = [queue["name"] for queue in read(client, "/0/data/queues.json")["queues"]]

    assert {"events", "a/b"} <= set(names)
    assert client.get("/").status_code == 200


def test_a_list_leaves_ids_whose_job_has_gone(accept: Accept, client: TestClient, store: redis.Redis) -> None:
    store.delete(f"rq:job:{accept()}")
    before = snapshot(store)

    assert listed(client, "events", "queued") == {}

    assert snapshot(store) == before


def test_other_applications_jobs_are_not_requeued(die: Any, client: TestClient, store: redis.Redis) -> None:
    ours = die()
    put(store, "theirs", "other")
    put(store, "beside-ours", "events")
    store.zadd("rq:failed:other", {"theirs": 1})
    store.zadd("rq:failed:events", {"beside-ours": 1, "no-job": 1})
    before = snapshot(store)

    for path in ("/requeue/other", "/job/theirs/requeue", "/job/beside-ours/requeue"):
        answer = client.post(path, headers=OURS)
        assert answer.status_code == 403, path
        assert "another application" in answer.text
    assert client.post("/job/no-job/requeue", headers=OURS).json() == {"status": "GONE", "count": 0}
    assert snapshot(store) == before

    assert client.post("/requeue/events", headers=OURS).json() == {"status": "OK", "count": 1}
    assert store.zrange("rq:failed:events", 0, -1) == [b"beside-ours", b"no-job"]
    assert store.lrange("rq:queue:events", 0, -1) == [ours.encode()]
    assert not store.exists(KEYS.event("no-job"))


@pytest.mark.parametrize("path", ["/0/data/jobs/events/failed/100/asc/1.json", "/0/data/job/bomb.json"])
def test_a_traceback_that_unpacks_to_gigabytes_is_cut(path: str, client: TestClient, store: redis.Redis) -> None:
    packing = zlib.compressobj(9)
    bomb = b"".join(packing.compress(bytes(2**20)) for _ in range(64)) + packing.flush()
    put(store, "bomb", "events", exc_info=bomb)
    store.zadd("rq:failed:events", {"bomb": 1})
    store.xadd("rq:results:bomb", {"type": "2", "exc_string": b64encode(bomb)})

    tracemalloc.start()
    answer = client.get(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert answer.status_code == 200
    assert "the rest is left out" in str(answer.json())
    assert most < 32 * 2**20
