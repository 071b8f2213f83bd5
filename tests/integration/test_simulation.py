"""`surehook simulate` against a receiver: events, rollbacks and its page."""

import json
from collections.abc import Iterator

import httpx
import pytest

from surehook.fusionauth.simulator.event_log import search_from_json
from surehook.fusionauth.simulator.quirks import Quirks
from surehook.fusionauth.simulator.run import Simulation
from surehook.shared.settings import Settings
from tests.integration.test_simulated_delivery import Receiver
from tests.support.simulated_fusionauth import an_installation

KEY = "an-api-key-of-the-endpoint-0123456789"
SETTINGS = Settings(api_keys=(KEY,), signing_secrets=("a-secret-of-the-endpoint-0123456789abcdef",))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver(202)
    yield receiver
    receiver.shutdown()
    receiver.server_close()


def simulation(receiver: Receiver, *, setting: str = "None", quirks: Quirks | None = None) -> Simulation:
    return Simulation(an_installation(quirks=quirks), SETTINGS, seed=5, url=receiver.url, setting=setting)


def test_what_was_sent_is_in_the_log_and_on_the_page(receiver: Receiver) -> None:
    with simulation(receiver) as running:
        for _ in running.run(rate=1e9, limit=60):
            pass
        page = httpx.get(running.url, trust_env=False)

    instance = running.deliverer.instance
    search = search_from_json({"start": 1, "numberOfResults": 1000}, now_ms=instance.now_ms(), version=instance.version)
    logged = [row["event"]["event"]["id"] for row in instance.log.search(search)["webhookEventLogs"]]
    received = [json.loads(body)["event"]["id"] for _, _, _, body in receiver.requests]
    assert sorted(logged) == sorted(received) == sorted(running.tally.committed_ids)
    assert len(received) >= 60
    assert received[-1] in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert {tuple(headers["Authorization"]) for _, _, headers, _ in receiver.requests} == {(KEY,)}
    assert all("X-FusionAuth-Signature-JWT" in headers for _, _, headers, _ in receiver.requests)


def test_a_refused_operation_is_rolled_back_and_sends_nothing_more(receiver: Receiver) -> None:
    receiver.statuses[:] = [422]
    with simulation(receiver, setting="AbsoluteMajority") as running:
        for _ in running.run(rate=1e9, limit=5):
            pass

    types = [json.loads(body)["event"]["type"] for _, _, _, body in receiver.requests]
    assert set(types) == {"user.create"}
    assert running.tally.rolled_back == len(types)
    assert running.population.users == {}
    assert running.tally.committed_ids == set()


def test_complete_can_come_before_the_commit(receiver: Receiver) -> None:
    orders: set[tuple[str, ...]] = set()
    with simulation(receiver, quirks=Quirks(complete_comes_early=True)) as running:
        for operation in running.run(rate=1e9, limit=600):
            if operation.name == "log in with a provider":
                sent = [json.loads(body)["event"]["type"] for _, _, _, body in receiver.requests]
                orders.add(tuple(sent[-len(operation.events) :]))

    assert orders == {("user.update.complete", "user.update", "user.login.success")}
