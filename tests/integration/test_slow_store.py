"""A store that is slow, not away: what waits in the spool must still get there."""

from functools import partial
from pathlib import Path

import pytest
import redis

from harness.events import an_event
from harness.stack import wait_until
from surehook.ingest.store.connection import open_connection
from surehook.shared.embedded import socket_path
from surehook.shared.settings import Settings
from surehook.shared.store_address import parse_store_address
from tests.support.cut_link import link_to
from tests.support.endpoint import open_endpoint
from tests.support.ledger import is_balanced
from tests.support.store_faults import not_durable

EVENTS, NOTE_BYTES = 12, 100_000


@pytest.mark.usefixtures("looks_often", "is_patient")
def test_a_spool_drains_over_a_network_that_is_too_slow_for_a_full_batch(
    settings: Settings, store: redis.Redis, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surehook.ingest.store.session.open_connection", partial(open_connection, timeout_seconds=0.6))
    with link_to(socket_path(data_dir)) as link:
        address = parse_store_address(f"redis://127.0.0.1:{link.port}")
        spooling = settings.model_copy(update={"spool_dir": str(tmp_path / "spool"), "redis_url": address})
        with open_endpoint(spooling) as endpoint:
            with not_durable(store):
                wait_until(lambda: endpoint.deliver().status_code and endpoint.metric("surehook_spooled_events"))
                for _ in range(EVENTS):
                    assert endpoint.deliver(an_event(note="n" * NOTE_BYTES)).status_code == 202
                link.delay_seconds = 0.1  # for 64 KiB: all of these take about a second
            wait_until(lambda: endpoint.metric("surehook_spooled_events") == 0, "all are forwarded", seconds=60)

    assert store.zcard("surehook:open") >= EVENTS
    assert is_balanced(store)
