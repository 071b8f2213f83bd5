"""The connection on which an endpoint waits for the outcomes of its transactions."""

import asyncio
from typing import Any

import pytest
import redis

from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.store.connection import Connection, open_connection
from surehook.ingest.store.session import Session
from surehook.ingest.transactional import outcomes as module
from surehook.ingest.transactional.outcomes import Outcomes
from surehook.shared.settings import Settings


def test_a_connection_that_opens_while_the_endpoint_stops_is_closed(
    settings: Settings, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Connection] = []

    async def play() -> None:
        outcomes = Outcomes(settings, Session(settings, IngestMetrics()), "process")

        async def open_late(*arguments: Any, **options: Any) -> Connection:
            opened.append(await open_connection(*arguments, **options))
            outcomes.stop()
            return opened[-1]

        monkeypatch.setattr(module, "open_connection", open_late)
        await outcomes.run()

    asyncio.run(play())

    assert [each.is_open for each in opened] == [False]
