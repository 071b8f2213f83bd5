"""`/scale` on the metrics address tells an autoscaler how many worker processes are wanted."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import redis
from prometheus_client import CollectorRegistry

from harness.stack import free_port
from surehook.shared.metrics_server import serve_metrics
from surehook.shared.scale import SCALE_PATH, Scale
from surehook.shared.settings import Settings
from tests.integration.conftest import Accept

Ask = Callable[..., httpx.Response]


def serve(settings: Settings) -> Ask:
    port = free_port()
    serve_metrics(f"127.0.0.1:{port}", CollectorRegistry(), {SCALE_PATH: Scale(settings)})

    def ask(**query: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{port}{SCALE_PATH}", params=query, trust_env=False)

    return ask


def test_the_queues_are_read_at_each_request(
    settings: Settings, store: redis.Redis, accept: Accept, claims_of: Any
) -> None:
    ask = serve(settings)
    assert ask().json() == {"waiting": 0, "running": 0, "oldest_waiting_seconds": 0.0, "wanted_processes": 1}
    for _ in range(5):
        accept()
    claims_of().claim()

    response = ask(jobs_per_process="2")

    assert response.headers["content-type"] == "application/json"
    told = response.json()
    assert 0 <= told.pop("oldest_waiting_seconds") < 60
    assert told == {"waiting": 4, "running": 1, "wanted_processes": 3}
    assert ask(queue="another", jobs_per_process="2").json()["wanted_processes"] == 1
    store.sadd("surehook:paused", "events")
    assert ask(jobs_per_process="2").json()["waiting"] == 0


@pytest.mark.parametrize(
    "query", [{"jobs_per_process": "0"}, {"jobs_per_process": "many"}, {"jobs_per_process": ""}, {"per": "1"}], ids=str
)
def test_a_wrong_query_is_answered_with_what_was_expected(settings: Settings, query: dict[str, str]) -> None:
    response = serve(settings)(**query)

    assert response.status_code == 400
    assert "expected" in response.json()["error"]


def test_an_unavailable_store_is_no_reason_to_scale_down(settings: Settings) -> None:
    away = settings.model_copy(update={"data_dir": settings.data_dir / "away"})

    response = serve(away)()

    assert (response.status_code, response.json()) == (503, {"error": "the store is unavailable"})
