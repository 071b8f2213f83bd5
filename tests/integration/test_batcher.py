"""The batcher of transactional commands: batches, scripts that the store forgot, and stores that fail."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import redis

from harness.events import a_body
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.store.script_batcher import ScriptBatcher
from surehook.ingest.transactional.coordinator import Coordinator
from surehook.shared.embedded import socket_path
from surehook.shared.envelope import parse_envelope
from surehook.shared.errors import StoreUnavailable
from surehook.shared.settings import Settings
from surehook.workers.handlers.registry import on
from tests.integration.test_session import running, until
from tests.support.replicas import Fleet
from tests.support.tcp_proxy import TcpProxy, tcp_proxy
from tests.support.transactions import KEYS

BEAT = ("heartbeat", "worker", "worker", "transactional", "user.create", 60_000, "ingest")
# After a heartbeat. This one writes something new, so a full store refuses it.
COMMON = ("30", "ingest", 60_000, 250, 3600, 60_000, "webhook", "")
ID = "e7f7e9b8-5f0e-4f6e-9a39-7c0f6d7a1c11"


def submit(line: ScriptBatcher, event_id: str = ID) -> asyncio.Future[Any]:
    item = (event_id, "user.create", "", "", "", b'{"event":{}}', "", "round", 60_000)
    return line.start("txn_submit", *item, common=COMMON)


async def told(*calls: Awaitable[Any]) -> list[Any]:
    async with asyncio.timeout(10):
        replies = await asyncio.gather(*calls, return_exceptions=True)
    return [type(reply) if isinstance(reply, BaseException) else reply for reply in replies]


def with_line(settings: Settings, play: Callable[[ScriptBatcher], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with running(settings) as acceptor:
            await until(lambda: acceptor.is_ready)
            await play(ScriptBatcher(acceptor.session, settings, ("heartbeat", "deregister", "txn_submit")))

    asyncio.run(run())


def test_calls_in_one_turn_of_the_loop_get_their_own_answers(settings: Settings, store: redis.Redis) -> None:
    async def play(line: ScriptBatcher) -> None:
        still = ("deregister", "worker", "worker", "transactional")
        assert await told(line.call(*BEAT), line.call(*still), line.call(*BEAT)) == [[], 1, []]

    with_line(settings, play)


def test_a_script_that_the_store_has_forgotten_is_sent_again_in_full(settings: Settings, store: redis.Redis) -> None:
    async def play(line: ScriptBatcher) -> None:
        await line.call(*BEAT)
        store.script_flush()
        assert await told(*(line.call(*BEAT) for _ in range(3))) == [[]] * 3

    with_line(settings, play)


def test_more_than_the_store_takes_at_once_goes_in_several_batches(
    settings: Settings, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surehook.ingest.store.script_batcher.ScriptBatcher.max_batch", 2)

    async def play(line: ScriptBatcher) -> None:
        assert await told(*(line.call(*BEAT) for _ in range(7))) == [[]] * 7

    with_line(settings, play)


def test_a_store_without_memory_refuses_and_says_so_once(
    settings: Settings, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(line: ScriptBatcher) -> None:
        await line.call(*BEAT)
        store.config_set("maxmemory", 1)
        try:
            assert await told(*(submit(line) for _ in range(3))) == [StoreUnavailable] * 3
            assert await told(line.call(*BEAT)) == [[]]
        finally:
            store.config_set("maxmemory", 0)
        assert (await submit(line))[0] == b"waiting"

    with_line(settings, play)
    assert [record.getMessage() for record in caplog.records].count("store refuses commands") == 1


@pytest.mark.parametrize("is_known", [True, False], ids=["known script", "sent in full"])
def test_arguments_are_computed_when_the_call_is_sent(settings: Settings, store: redis.Redis, is_known: bool) -> None:
    waits = True

    async def play(line: ScriptBatcher) -> None:
        nonlocal waits
        await line.call(*BEAT)
        if not is_known:
            store.script_flush()
        call = asyncio.create_task(line.call("heartbeat", lambda: "waiting" if waits else "leaving", *BEAT[2:]))
        await asyncio.sleep(0)  # it waits for other calls of this turn of the loop
        waits = False
        assert await call == []

    with_line(settings, play)
    assert store.exists(KEYS.alive("leaving", "worker"))
    assert not store.exists(KEYS.alive("waiting", "worker"))


def test_a_caller_that_gave_up_leaves_the_others_their_answers(settings: Settings, store: redis.Redis) -> None:
    async def play(line: ScriptBatcher) -> None:
        calls = [asyncio.create_task(line.call(*BEAT)) for _ in range(3)]
        for _ in range(2):  # the tasks begin, the batch leaves
            await asyncio.sleep(0)
        calls[1].cancel()
        assert [await calls[0], await calls[2]] == [[], []]
        assert await line.call(*BEAT) == []

    with_line(settings, play)


def test_a_connection_that_breaks_is_no_answer_and_is_mended(data_dir: Path, store: redis.Redis) -> None:
    async def scenario(man: TcpProxy) -> None:
        settings = Settings(redis_url=f"redis://127.0.0.1:{man.port}/0")
        async with running(settings) as acceptor:
            await until(lambda: acceptor.is_ready)
            line = ScriptBatcher(acceptor.session, settings, ("heartbeat",))
            await line.call(*BEAT)
            man.cuts_after_bytes = 1
            assert await told(line.call(*BEAT)) == [StoreUnavailable]
            man.cuts_after_bytes = None
            await until(lambda: acceptor.is_ready)
            assert await told(line.call(*BEAT)) == [[]]

    async def run() -> None:
        async with tcp_proxy(socket_path(data_dir)) as man:
            await scenario(man)

    asyncio.run(run())


def test_a_write_that_a_replica_lacks_is_an_error(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surehook.ingest.store.session.CHECK_EVERY_SECONDS", 3600)
    fleet = Fleet(tmp_path_factory.mktemp("f"), replicas=1, is_watched=False)
    settings = Settings(redis_url=f"redis://127.0.0.1:{fleet.ports[0]}/0", durability="replicated")

    async def play(line: ScriptBatcher) -> None:
        assert await told(line.call(*BEAT)) == [[]]
        replica = fleet.servers[fleet.ports[1]]
        replica.send_signal(signal.SIGSTOP)
        try:
            assert await told(line.call(*BEAT)) == [StoreUnavailable]
        finally:
            replica.send_signal(signal.SIGCONT)

    try:
        with_line(settings, play)
    finally:
        fleet.close()


def test_a_sender_that_leaves_after_the_confirmation_is_counted(
    settings: Settings, store: redis.Redis, protocol: Any, transactional_executor: Any
) -> None:
    envelope = parse_envelope(a_body())
    asked = settings.model_copy(update={"transactional_events": (envelope.event_type,), "transaction_timeout": 60})
    metrics = IngestMetrics()
    on(envelope.event_type, name="check", transactional=True)(lambda event: None)
    protocol.beat("worker", envelope.event_type)

    async def leave() -> None:
        while store.hget(KEYS.event(envelope.event_id), "decision") != b"completed":  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0)

    async def run() -> None:
        async with running(asked) as acceptor:
            await until(lambda: acceptor.is_ready)
            asking = Coordinator(asked, metrics, acceptor.session)
            task = asyncio.create_task(asking.run())
            leaving = asyncio.create_task(leave())
            answer = asyncio.create_task(asking.decide(envelope, leaving, asyncio.get_running_loop().time()))
            await until(lambda: transactional_executor().run_until_idle(0.01) > 0)
            assert (await answer).status == 200
            asking.stop()
            await task

    asyncio.run(run())

    assert metrics.registry.get_sample_value("surehook_responses_lost_after_confirm_total") == 1
