"""The endpoint's session with the store: every address, every failure, and reconnecting by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from harness.events import a_body
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.store.accept_script import AcceptResult
from surehook.ingest.store.acceptor import Acceptor
from surehook.ingest.store.connection import REPLY_TIMEOUT_SECONDS
from surehook.shared.embedded import socket_path
from surehook.shared.envelope import Envelope, parse_envelope
from surehook.shared.errors import BacklogFull, StoreError, StoreUnavailable
from surehook.shared.settings import Settings
from tests.support.tcp_proxy import TcpProxy, tcp_proxy

MENDING_SECONDS = 10.0


def an_envelope() -> Envelope:
    return parse_envelope(a_body())


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Acceptor]:
    acceptor = Acceptor(settings, IngestMetrics())
    task = asyncio.create_task(acceptor.run())
    await acceptor.wait_until_checked()
    yield acceptor
    acceptor.stop()
    await asyncio.wait_for(task, MENDING_SECONDS)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(MENDING_SECONDS):
        while not condition():  # noqa: ASYNC110 - the acceptor has no event to wait for
            await asyncio.sleep(0.01)


async def settled(*accepting: Awaitable[AcceptResult]) -> list[AcceptResult | type[BaseException]]:
    async with asyncio.timeout(MENDING_SECONDS):
        outcomes = await asyncio.gather(*accepting, return_exceptions=True)
    return [type(outcome) if isinstance(outcome, BaseException) else outcome for outcome in outcomes]


def through(data_dir: Path, scenario: Callable[[Acceptor, TcpProxy], Coroutine[Any, Any, None]]) -> None:
    """Play a scenario with an acceptor whose store is behind a TCP proxy."""

    async def play() -> None:
        async with tcp_proxy(socket_path(data_dir)) as man, running(_to(man)) as acceptor:
            await until(lambda: acceptor.is_ready)
            await scenario(acceptor, man)

    asyncio.run(play())


def _to(man: TcpProxy) -> Settings:
    return Settings(redis_url=f"redis://127.0.0.1:{man.port}/0")


def test_events_that_arrive_during_a_batch_go_in_the_next_one(settings: Settings, store: redis.Redis) -> None:
    events = [an_envelope() for _ in range(700)]

    async def play() -> list[AcceptResult | type[BaseException]]:
        async with running(settings) as acceptor:
            store.config_resetstat()
            return await settled(*(acceptor.accept(event) for event in [*events, events[0]]))

    outcomes = asyncio.run(play())

    assert outcomes == [AcceptResult.STORED] * 700 + [AcceptResult.DUPLICATE]
    assert store.info("commandstats")["cmdstat_evalsha"]["calls"] == 3  # 256 events at most in each
    assert store.lrange("rq:queue:events", 0, -1) == [event.event_id.encode() for event in events]


def test_replies_in_pieces_are_put_together(data_dir: Path, store: redis.Redis) -> None:
    async def scenario(acceptor: Acceptor, man: TcpProxy) -> None:
        man.replies_in_pieces = True

        assert await settled(*(acceptor.accept(an_envelope()) for _ in range(3))) == [AcceptResult.STORED] * 3

    through(data_dir, scenario)


def test_a_connection_that_breaks_in_a_reply_is_an_error_and_is_reopened(data_dir: Path, store: redis.Redis) -> None:
    events = [an_envelope(), an_envelope()]

    async def scenario(acceptor: Acceptor, man: TcpProxy) -> None:
        await acceptor.accept(an_envelope())  # from now on the store knows the script
        man.cuts_after_bytes = 5
        assert await settled(*map(acceptor.accept, events)) == [StoreUnavailable] * 2
        man.cuts_after_bytes = None
        await until(lambda: acceptor.is_ready)

        # The store had it all: the sender, who sends them again, is told so.
        assert await settled(*map(acceptor.accept, events)) == [AcceptResult.DUPLICATE] * 2

    through(data_dir, scenario)


def test_a_silent_store_times_out_and_is_reconnected(data_dir: Path, store: redis.Redis) -> None:
    async def scenario(acceptor: Acceptor, man: TcpProxy) -> None:
        man.passes_replies = False
        began = time.monotonic()
        assert await settled(acceptor.accept(an_envelope())) == [StoreUnavailable]
        assert time.monotonic() - began > REPLY_TIMEOUT_SECONDS / 2
        assert await settled(acceptor.accept(an_envelope())) == [StoreUnavailable]
        man.passes_replies = True

        await until(lambda: acceptor.is_ready)
        assert await acceptor.accept(an_envelope()) is AcceptResult.STORED

    through(data_dir, scenario)


@pytest.mark.parametrize("nonsense", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*1\r\n:1\r\n:1\r\n", b"$-5\r\n"])
def test_a_server_that_does_not_speak_the_protocol_is_rejected(
    data_dir: Path, store: redis.Redis, nonsense: bytes
) -> None:
    async def scenario(acceptor: Acceptor, man: TcpProxy) -> None:
        connections = man.connections
        man.instead = nonsense
        await settled(acceptor.accept(an_envelope()))
        man.instead = None

        await until(lambda: acceptor.is_ready and man.connections > connections)
        assert await acceptor.accept(an_envelope()) is AcceptResult.STORED

    through(data_dir, scenario)


@pytest.mark.parametrize(
    "shape", [b"*0\r\n", b"*3\r\n:1\r\n:1\r\n:1\r\n", b":1\r\n", b"$-1\r\n", b"+OK\r\n", b"*2\r\n$1\r\n1\r\n:1\r\n"]
)
def test_a_reply_of_an_unexpected_shape_is_an_error(data_dir: Path, store: redis.Redis, shape: bytes) -> None:
    async def scenario(acceptor: Acceptor, man: TcpProxy) -> None:
        connections = man.connections
        man.instead = shape
        assert await settled(acceptor.accept(an_envelope()), acceptor.accept(an_envelope())) == [StoreUnavailable] * 2
        man.instead = None

        await until(lambda: acceptor.is_ready and man.connections > connections)
        assert await acceptor.accept(an_envelope()) is AcceptResult.STORED

    through(data_dir, scenario)


def test_a_request_that_is_cancelled_leaves_the_others_their_answers(data_dir: Path, store: redis.Redis) -> None:
    async def scenario(acceptor: Acceptor, man: TcpProxy) -> None:
        man.passes_replies = False
        in_flight = [asyncio.create_task(acceptor.accept(an_envelope())) for _ in range(3)]
        await asyncio.sleep(0.01)
        waiting = [asyncio.create_task(acceptor.accept(an_envelope())) for _ in range(3)]
        await asyncio.sleep(0)
        in_flight[1].cancel()
        waiting[1].cancel()
        await asyncio.sleep(0)
        assert in_flight[1].cancelled()
        assert waiting[1].cancelled()
        await settled(*in_flight, *waiting)
        man.passes_replies = True

        await until(lambda: acceptor.is_ready)
        assert await acceptor.accept(an_envelope()) is AcceptResult.STORED

    through(data_dir, scenario)


def test_a_request_that_is_cancelled_in_flight_changes_nothing_for_the_others(
    data_dir: Path, store: redis.Redis
) -> None:
    async def scenario(acceptor: Acceptor, man: TcpProxy) -> None:
        connections = man.connections
        in_flight = [asyncio.create_task(acceptor.accept(an_envelope())) for _ in range(3)]
        for _ in range(2):  # the tasks begin, the batch leaves; its reply takes more turns of the loop than that
            await asyncio.sleep(0)
        in_flight[1].cancel()

        assert await settled(*in_flight) == [AcceptResult.STORED, asyncio.CancelledError, AcceptResult.STORED]
        assert await acceptor.accept(an_envelope()) is AcceptResult.STORED
        assert man.connections == connections

    through(data_dir, scenario)


def test_the_endpoint_is_not_ready_with_a_replica(settings: Settings, store: redis.Redis) -> None:
    async def play() -> bool:
        async with running(settings) as acceptor:
            return acceptor.is_ready

    store.replicaof("127.0.0.1", "1")
    try:
        assert not asyncio.run(play())
    finally:
        store.replicaof("NO", "ONE")


def test_a_primary_that_becomes_a_replica_gets_no_more(
    settings: Settings, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surehook.ingest.store.session.CHECK_EVERY_SECONDS", 3600)  # its reply must be enough

    async def play() -> list[AcceptResult | type[BaseException]]:
        async with running(settings) as acceptor:
            store.replicaof("127.0.0.1", "1")
            demoted = await settled(acceptor.accept(an_envelope()))
            await until(lambda: not acceptor.is_ready)
            store.replicaof("NO", "ONE")
            await until(lambda: acceptor.is_ready)
            return demoted + await settled(acceptor.accept(an_envelope()))

    try:
        assert asyncio.run(play()) == [StoreUnavailable, AcceptResult.STORED]
    finally:
        store.replicaof("NO", "ONE")


def test_a_full_backlog_refuses_new_events_but_recognises_duplicates(settings: Settings, store: redis.Redis) -> None:
    bounded = settings.model_copy(update={"max_backlog": 2})
    events = [an_envelope() for _ in range(3)]

    async def play() -> list[AcceptResult | type[BaseException]]:
        async with running(bounded) as acceptor:
            outcomes = await settled(*map(acceptor.accept, [*events, events[0]]))
            store.zrem("surehook:open", events[0].event_id)  # as if it were closed
            return outcomes + await settled(acceptor.accept(events[2]))

    assert asyncio.run(play()) == [
        AcceptResult.STORED,
        AcceptResult.STORED,
        BacklogFull,
        AcceptResult.DUPLICATE,
        AcceptResult.STORED,
    ]
    assert issubclass(BacklogFull, StoreError)
