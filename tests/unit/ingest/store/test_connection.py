"""What is due on a connection is given up in its own time, however much else is due."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from surehook.ingest.store.connection import REPLY_TIMEOUT_SECONDS, Connection, Replies
from surehook.shared.errors import StoreUnavailable

OK = b"+OK\r\n"
SOME_SECONDS = REPLY_TIMEOUT_SECONDS * 0.6  # two of them are too many


class Clockwork(asyncio.SelectorEventLoop):
    """A loop whose clock stands still unless it is put forward by hand."""

    now_seconds = 0.0

    def time(self) -> float:
        return self.now_seconds


class Wire(asyncio.Transport):
    """Nobody is at the other end."""

    def write(self, data: object) -> None:
        pass

    def abort(self) -> None:
        pass


class Link:
    """A connection, and what became of the commands that were sent on it."""

    def __init__(self) -> None:
        self.told: list[Replies | StoreUnavailable] = []
        self.connection = Connection(lambda: None)
        self.connection.connection_made(Wire())

    def send(self) -> None:
        self.connection.send(b"", 1, self.told.append)

    async def pass_time(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Clockwork)
        loop.now_seconds += SOME_SECONDS
        for _ in range(3):  # whoever waits for a time is called in the next turn
            await asyncio.sleep(0)


def play(scenario: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=Clockwork) as runner:
        runner.run(scenario)


def test_a_connection_on_which_something_is_always_due_is_kept_while_all_is_answered_in_time() -> None:
    async def scenario() -> None:
        link = Link()
        link.send()
        for _ in range(10):
            link.send()
            await link.pass_time()
            link.connection.data_received(OK)
            link.send()
            link.connection.data_received(OK)

        assert link.told == [[b"OK"]] * 20
        assert link.connection.is_open

    play(scenario())


def test_the_oldest_that_is_due_ends_the_connection_whatever_was_answered_before_it() -> None:
    async def scenario() -> None:
        link = Link()
        link.send()
        await link.pass_time()
        link.send()
        link.connection.data_received(OK)
        await link.pass_time()
        link.send()
        assert (link.told, link.connection.is_open) == ([[b"OK"]], True)

        await link.pass_time()

        assert not link.connection.is_open
        assert [type(told) for told in link.told] == [list, StoreUnavailable, StoreUnavailable]

    play(scenario())


def test_what_is_sent_after_a_silence_has_all_its_time() -> None:
    async def scenario() -> None:
        link = Link()
        link.send()
        link.connection.data_received(OK)
        for _ in range(3):
            await link.pass_time()
        link.send()
        await link.pass_time()
        assert link.connection.is_open

        await link.pass_time()

        assert not link.connection.is_open

    play(scenario())
