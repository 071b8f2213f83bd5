"""The endpoint stops on request at every point of its work."""

import asyncio

from harness.events import a_body
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.store.acceptor import Acceptor
from surehook.shared.envelope import parse_envelope
from surehook.shared.settings import Settings

STOP_SECONDS = 1.0
STEPS = 20  # in turns of the event loop; a batch takes fewer from its first byte to its reply


async def stops_after(settings: Settings, steps: int) -> bool:
    """Stop an acceptor `steps` turns after an event; true if it stopped and every caller has an answer."""
    acceptor = Acceptor(settings, IngestMetrics())
    running = asyncio.create_task(acceptor.run())
    while not acceptor.is_ready:  # noqa: ASYNC110 - every single step of the loop is counted here
        await asyncio.sleep(0)
    delivery = asyncio.create_task(acceptor.accept(parse_envelope(a_body())))
    for _ in range(steps):
        await asyncio.sleep(0)

    acceptor.stop()
    await asyncio.wait([running, delivery], timeout=STOP_SECONDS)
    has_stopped = running.done() and delivery.done()
    while not running.done():  # an acceptor that hangs must not block the next one
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.wait([running], timeout=0.01)
    await asyncio.gather(delivery, return_exceptions=True)
    return has_stopped


def test_the_endpoint_shuts_down_cleanly_at_any_moment(settings: Settings) -> None:
    async def deaf_after() -> list[int]:
        return [steps for steps in range(STEPS) if not await stops_after(settings, steps)]

    assert asyncio.run(deaf_after()) == []
