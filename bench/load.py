"""The load: a process of its own that posts events over kept-alive connections, one request at a time on each."""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import click
import uvloop

from surehook.samples import sample

PATH = "/fusionauth-webhook"
BODY_BYTES = 1536
EVENT_TYPE = "user.create.complete"
HANGING_SECONDS = 10
_PLACE = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Measured:
    """One round: how many answers of which status, in how many seconds."""

    statuses: dict[str, int]
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def answers(self) -> int:
        return sum(self.statuses.values())

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds


def measure(port: int, api_key: str, connections: int, seconds: float, event_type: str = EVENT_TYPE) -> Measured:
    """Run the load in its own process, so that it shares no interpreter with anything measured."""
    options = {"port": port, "api-key": api_key, "connections": connections, "seconds": seconds, "type": event_type}
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", *arguments],
        stdout=subprocess.PIPE,
        check=True,
        timeout=seconds + 2 * HANGING_SECONDS,
    )
    return Measured(**json.loads(done.stdout))


def bodies(length: int = BODY_BYTES, event_type: str = EVENT_TYPE) -> Iterator[bytes]:
    """The same event again and again, each time with an id that nobody has seen."""
    event: dict[str, Any] = sample(event_type, now=datetime.now(UTC), event_id=_PLACE)
    data = event["event"]["user"]["data"]
    data["note"] = ""
    data["note"] = "n" * (length - len(json.dumps(event)))
    head, _, tail = json.dumps(event).partition(str(_PLACE))
    run = str(uuid4())[:24]
    return (f"{head}{run}{number:012x}{tail}".encode() for number in count())


class Load:
    """What all connections have in common: the requests, the clock and the answers."""

    def __init__(self, api_key: str, seconds: float, event_type: str) -> None:
        self._bodies = bodies(event_type=event_type)
        length = len(next(self._bodies))  # some samples are longer than BODY_BYTES
        self._head = (
            f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {api_key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        ).encode()
        self._seconds = seconds
        self.ends_at = 0.0
        self.statuses: Counter[str] = Counter()
        self.took: list[float] = []

    def next_request(self) -> bytes:
        return self._head + next(self._bodies)

    async def run(self, port: int, connections: int) -> Measured:
        """Send for so many seconds, wait for the answers that are due then."""
        loop = asyncio.get_running_loop()
        senders = [
            (await loop.create_connection(lambda: Sender(self), "127.0.0.1", port))[1] for _ in range(connections)
        ]
        began = time.perf_counter()
        self.ends_at = began + self._seconds
        for sender in senders:
            sender.send()
        async with asyncio.timeout(self._seconds + HANGING_SECONDS):
            await asyncio.gather(*(sender.done for sender in senders))
        seconds = time.perf_counter() - began
        took = sorted(self.took)
        return Measured(dict(self.statuses), seconds, _percentile(took, 0.50), _percentile(took, 0.99))


class Sender(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""
        self._sent_at = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def send(self) -> None:
        request = self._load.next_request()
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        status = _whole_answer(self._received)
        if status is None:
            return
        now = time.perf_counter()
        self._received = b""
        self._load.statuses[status] += 1
        self._load.took.append(now - self._sent_at)
        if now < self._load.ends_at:
            self.send()
            return
        self.done.set_result(None)
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._load.statuses[f"connection lost ({type(exc).__name__})"] += 1
            self.done.set_result(None)


def _whole_answer(received: bytes) -> str | None:
    """The status, once the head and as many bytes as it announces are there."""
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return None
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    length = int(rest.partition(b"\r\n")[0]) if found else 0
    return head[9:12].decode() if len(body) >= length else None


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000 if ordered else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--api-key", required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--type", default=EVENT_TYPE)
    chosen = parser.parse_args()
    load = Load(chosen.api_key, chosen.seconds, chosen.type)
    click.echo(json.dumps(asdict(uvloop.run(load.run(chosen.port, chosen.connections)))))


if __name__ == "__main__":
    main()
