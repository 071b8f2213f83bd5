"""The bench's handlers for Surehook, and a program that accepts events as the endpoint does."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import closing

from bench.load import bodies
from bench.meter import fill_or_time, work, work_async
from surehook import Event, on
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.store.acceptor import Acceptor
from surehook.shared.envelope import parse_envelope
from surehook.shared.keys import Keys
from surehook.shared.settings import load_settings

SECONDS = float(os.environ.get("SECONDS", "0"))
AT_ONCE = 200

if os.environ.get("ASYNC"):

    @on("*", name="bench")
    async def handle_async(_: Event) -> None:
        await work_async(SECONDS)

else:

    @on("*", name="bench")
    def handle(_: Event) -> None:
        work(SECONDS)


class Endpoint:
    """Accepts events without HTTP."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._bodies: Iterator[bytes] = bodies()
        settings = load_settings(
            redis_url=f"unix://{os.environ['STORE']}",
            key_prefix=Keys().prefix,
            durability="memory",
            store_timeout=60,  # on a busy machine nothing is refused, and there is no spool here
        )
        self._acceptor = Acceptor(settings, IngestMetrics())
        self._loop.run_until_complete(self._open())

    def accept(self, _: float) -> None:
        self._loop.run_until_complete(self._accept(1))

    def fill(self, jobs: int) -> None:
        for _ in range(0, jobs, AT_ONCE):
            self._loop.run_until_complete(self._accept(AT_ONCE))

    def close(self) -> None:
        self._task.cancel()
        self._loop.run_until_complete(asyncio.wait([self._task]))

    async def _open(self) -> None:
        self._task = asyncio.create_task(self._acceptor.run())
        while not self._acceptor.is_ready:  # noqa: ASYNC110 - the acceptor has no event to wait for
            await asyncio.sleep(0.01)

    async def _accept(self, events: int) -> None:
        await asyncio.gather(*(self._acceptor.accept(parse_envelope(next(self._bodies))) for _ in range(events)))


if __name__ == "__main__":
    with closing(Endpoint()) as endpoint:
        fill_or_time(endpoint.accept, endpoint.fill)
