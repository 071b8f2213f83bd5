"""Compares ways to store events: clients, their parsers, and a script call for each batch or for each event.

No HTTP is involved: a fixed number of events is in flight, and each is replaced as soon as it is stored. All clients
but the last group waiting events into one round trip, as the endpoint does.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from statistics import median

import click
import redis.asyncio
import uvloop
from redis._parsers import _AsyncHiredisParser, _AsyncRESP2Parser
from redis.asyncio import UnixDomainSocketConnection

from bench import figures
from bench.load import BODY_BYTES, bodies
from bench.machine import empty
from harness.stack import API_KEY, Stack
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.store.acceptor import Acceptor
from surehook.ingest.store.script_batcher import ScriptBatcher
from surehook.shared.embedded import socket_path
from surehook.shared.envelope import Envelope, parse_envelope
from surehook.shared.job_id import packed_id
from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import Script
from surehook.shared.settings import Settings

ROUNDS = 7
EVENTS = 4_000
AT_ONCE = 32
HEADING = ("client", "a call for", "events/s", "CPU µs an event", "of the first beside it")

Accept = Callable[[Envelope], Awaitable[object]]
Opener = Callable[[Stack], "AsyncIterator[Accept]"]


def run(stack: Stack) -> None:
    """Measure and print."""
    click.echo(
        f"clients: {AT_ONCE} events of {BODY_BYTES} bytes wait at any time, {EVENTS:,} a round, "
        f"{ROUNDS} rounds in turn; median (lowest to highest)\n"
    )
    rates: dict[tuple[str, str], list[float]] = {way: [] for way in WAYS}
    costs: dict[tuple[str, str], list[float]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way, opened in WAYS.items():
            with stack.redis() as store:
                empty(store)
            per_second, microseconds = uvloop.run(_round(stack, opened))
            rates[way].append(per_second)
            costs[way].append(microseconds)
    first = next(iter(rates.values()))
    rows: list[Sequence[str]] = [HEADING]
    for way, values in rates.items():
        beside = median(one / other for one, other in zip(values, first, strict=True))
        rows.append((*way, figures.rate(values), f"{median(costs[way]):.0f}", f"{beside:.2f}"))
    click.echo(figures.table(rows))


async def _round(stack: Stack, opened: Opener) -> tuple[float, float]:
    """Returns events per second, and this process's CPU time per event."""
    envelopes = iter([parse_envelope(body) for body in islice(bodies(), EVENTS)])

    async def sender(accept: Accept) -> None:
        for envelope in envelopes:  # all senders share one iterator
            await accept(envelope)

    async with asynccontextmanager(opened)(stack) as accept:
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(sender(accept) for _ in range(AT_ONCE)))
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return EVENTS / seconds, cpu / EVENTS * 1e6


def _settings(stack: Stack) -> Settings:
    return Settings(data_dir=stack.data, api_keys=(API_KEY,), metrics_bind="off")


@asynccontextmanager
async def _running(stack: Stack) -> AsyncIterator[Acceptor]:
    acceptor = Acceptor(_settings(stack), IngestMetrics())
    running = asyncio.create_task(acceptor.run())
    await acceptor.wait_until_checked()
    yield acceptor
    acceptor.stop()
    await running


async def _batched(stack: Stack) -> AsyncIterator[Accept]:
    async with _running(stack) as acceptor:
        yield acceptor.accept


async def _single(stack: Stack) -> AsyncIterator[Accept]:
    async with _running(stack) as acceptor:
        batcher = ScriptBatcher(acceptor.session, _settings(stack), ("accept",))

        async def accept(envelope: Envelope) -> object:
            return await batcher.call("accept", *_arguments(envelope))

        yield accept


def _piped(parser: type) -> Opener:
    async def opened(stack: Stack) -> AsyncIterator[Accept]:
        store = _client(stack, parser)
        script = Script("accept", Keys())
        await store.script_load(script.source)
        waiting: list[tuple[Envelope, asyncio.Future[object]]] = []
        has_waiting = asyncio.Event()

        async def send() -> None:
            while True:
                await has_waiting.wait()
                has_waiting.clear()
                batch, waiting[:] = waiting[:], []
                pipeline = store.pipeline(transaction=False)
                for envelope, _ in batch:
                    pipeline.execute_command(*script.command(_arguments(envelope)))
                for (_, reply), outcome in zip(batch, await pipeline.execute(), strict=True):
                    reply.set_result(outcome)

        async def accept(envelope: Envelope) -> object:
            reply: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            waiting.append((envelope, reply))
            has_waiting.set()
            return await reply

        sending = asyncio.create_task(send())
        yield accept
        sending.cancel()
        await store.aclose()

    return opened


async def _plain(stack: Stack) -> AsyncIterator[Accept]:
    store = _client(stack, _AsyncHiredisParser)
    script = Script("accept", Keys())
    await store.script_load(script.source)

    async def accept(envelope: Envelope) -> object:
        return await store.execute_command(*script.command(_arguments(envelope)))  # type: ignore[no-untyped-call] # redis-py's own

    yield accept
    await store.aclose()


def _client(stack: Stack, parser: type) -> redis.asyncio.Redis:
    pool = redis.asyncio.ConnectionPool(
        connection_class=UnixDomainSocketConnection, path=str(socket_path(stack.data)), parser_class=parser, protocol=2
    )
    return redis.asyncio.Redis(connection_pool=pool)


def _arguments(envelope: Envelope) -> tuple[bytes | str, ...]:
    ids = (envelope.event_id, envelope.event_type, envelope.tenant_id, envelope.user_id, envelope.application_ids)
    return (*ids, "webhook", envelope.body, EVENTS_QUEUE, "30", "", packed_id(envelope.event_id))


WAYS: dict[tuple[str, str], Opener] = {
    ("own connection", "a batch"): _batched,
    ("own connection", "each event"): _single,
    ("redis.asyncio pipeline, hiredis", "each event"): _piped(_AsyncHiredisParser),
    ("redis.asyncio pipeline, its own parser", "each event"): _piped(_AsyncRESP2Parser),
    ("redis.asyncio, a connection each", "each event"): _plain,
}
