"""Each batch on a connection has its own timeout, however many others are pending."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from surehook.ingest.store.connection import MIN_BYTES_PER_SECOND, SILENCE_SECONDS, Connection, Replies
from surehook.shared.errors import StoreUnavailable

OK = b"+OK\r\n"
SOME_SECONDS = SILENCE_SECONDS * 0.6  # twice this exceeds the timeout
LARGE = bytes(int(MIN_BYTES_PER_SECOND * SILENCE_SECONDS * 1.25))  # gets more than twice the time


class ManualClockLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock the test moves."""

    now_seconds = 0.0

    def time(self) -> float:
        return self.now_seconds


class NullTransport(asyncio.Transport):
    """Discards all writes and never replies."""

    def write(self, data: object) -> None:
        pass

    def abort(self) -> None:
        pass


class RecordedConnection:
    """A connection, and the results of the commands sent on it."""

    def __init__(self) -> None:
        self.results: list[Replies | StoreUnavailable] = []
        self.connection = Connection(lambda: None)
        self.connection.connection_made(NullTransport())

    def send(self, packed: bytes = b"") -> None:
        self.connection.send(packed, 1, self.results.append)

    async def pass_time(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ManualClockLoop)
        loop.now_seconds += SOME_SECONDS
        for _ in range(3):  # timers run in the next iteration of the loop
            await asyncio.sleep(0)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=ManualClockLoop) as runner:
        runner.run(scenario)


def test_a_connection_that_always_has_pending_batches_stays_open_while_replies_are_in_time() -> None:
    async def scenario() -> None:
        recorded = RecordedConnection()
        recorded.send()
        for _ in range(10):
            recorded.send()
            await recorded.pass_time()
            recorded.connection.data_received(OK)
            recorded.send()
            recorded.connection.data_received(OK)

        assert recorded.results == [[b"OK"]] * 20
        assert recorded.connection.is_open

    run(scenario())


def test_the_oldest_batch_that_times_out_closes_the_connection() -> None:
    async def scenario() -> None:
        recorded = RecordedConnection()
        recorded.send()
        await recorded.pass_time()
        recorded.send()
        recorded.connection.data_received(OK)
        await recorded.pass_time()
        recorded.send()
        assert (recorded.results, recorded.connection.is_open) == ([[b"OK"]], True)

        await recorded.pass_time()

        assert not recorded.connection.is_open
        assert [type(result) for result in recorded.results] == [list, StoreUnavailable, StoreUnavailable]

    run(scenario())


def test_a_batch_sent_after_an_idle_period_has_the_full_timeout() -> None:
    async def scenario() -> None:
        recorded = RecordedConnection()
        recorded.send()
        recorded.connection.data_received(OK)
        for _ in range(3):
            await recorded.pass_time()
        recorded.send()
        await recorded.pass_time()
        assert recorded.connection.is_open

        await recorded.pass_time()

        assert not recorded.connection.is_open

    run(scenario())


def test_a_large_batch_and_those_behind_it_get_the_time_that_it_needs() -> None:
    async def scenario() -> None:
        recorded = RecordedConnection()
        recorded.send(LARGE)
        recorded.send()
        await recorded.pass_time()
        recorded.send()
        await recorded.pass_time()
        recorded.connection.data_received(OK)
        await recorded.pass_time()
        recorded.connection.data_received(OK + OK)

        assert recorded.results == [[b"OK"]] * 3

    run(scenario())


def test_a_large_batch_without_a_reply_times_out() -> None:
    async def scenario() -> None:
        recorded = RecordedConnection()
        recorded.send(LARGE)
        for _ in range(4):
            await recorded.pass_time()

        assert [type(result) for result in recorded.results] == [StoreUnavailable]

    run(scenario())
