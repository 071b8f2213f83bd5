"""The load: a separate process that posts events over keep-alive connections, one request at a time on each."""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import click
import uvloop

from bench.auth_kinds import KINDS, AuthKind
from surehook.fusionauth.samples import sample

PATH = "/fusionauth-webhook"
BODY_BYTES = 1536
EVENT_TYPE = "user.create.complete"
HANGING_SECONDS = 10
DEFAULT_KIND = next(iter(KINDS))
MIX = ("user.login.success", "user.create.complete", "user.update.complete", "jwt.refresh", "group.member.add")
MIX_BYTES = (*[0] * 6, 1536, 1536, 2048, 4096)  # 0: the length of our sample of the type, 0.9 to 3.5 KB
LARGE_BYTES, LARGE = 65536, 0.002
DUPLICATES = 0.05
_PLACEHOLDER_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Measured:
    """One round: the count of each status, the seconds it took, and latencies."""

    statuses: dict[str, int]
    seconds: float
    began: float
    """When the first request was sent, on time.perf_counter(): starting the load takes a while."""
    p50_ms: float
    p99_ms: float
    refused_p99_ms: float = 0.0
    p999_ms: float = 0.0

    @property
    def answers(self) -> int:
        return sum(self.statuses.values())

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds


def measure(
    port: int, connections: int, seconds: float, *, bodies: str = "same", prepared: Path | None = None
) -> Measured:
    """Run the load in its own process, so that it shares no interpreter with a measured process.

    It sends the requests that were `prepared`, and ends with the last of them, or makes its own.
    """
    options: dict[str, object] = {"port": port, "connections": connections, "seconds": seconds, "bodies": bodies}
    if prepared is not None:
        options["prepared"] = prepared
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", *arguments],
        stdout=subprocess.PIPE,
        check=True,
        timeout=seconds + 2 * HANGING_SECONDS,
    )
    return Measured(**json.loads(done.stdout))


def mixed_bodies() -> Iterator[bytes]:
    """Yields bodies as from a large FusionAuth: many types, mostly small, a few large, one in twenty sent twice."""
    chooser = Random(0)  # noqa: S311 - no secret; every run is alike
    sources = [bodies(length, event_type) for event_type in MIX for length in MIX_BYTES]
    large = bodies(LARGE_BYTES)
    recent: deque[bytes] = deque(maxlen=200)
    while True:
        if recent and chooser.random() < DUPLICATES:
            yield chooser.choice(recent)
            continue
        recent.append(next(large if chooser.random() < LARGE else chooser.choice(sources)))
        yield recent[-1]


def bodies(length: int = BODY_BYTES, event_type: str = EVENT_TYPE) -> Iterator[bytes]:
    """Yields the same event with a new id each time."""
    event: dict[str, Any] = sample(event_type, now=datetime.now(UTC), event_id=_PLACEHOLDER_ID)
    data = event["event"]
    data["note"] = ""
    data["note"] = "n" * (length - len(json.dumps(event)))
    head, _, tail = json.dumps(event).partition(str(_PLACEHOLDER_ID))
    run = str(uuid4())[:24]
    return (f"{head}{run}{number:012x}{tail}".encode() for number in count())


def bodies_called(name: str) -> Iterator[bytes]:
    """Returns the bodies called `same` or `mixed`, or those of an event type."""
    named: dict[str, Callable[[], Iterator[bytes]]] = {"same": bodies, "mixed": mixed_bodies}
    return named[name]() if name in named else bodies(event_type=name)


def request(body: bytes, kind: AuthKind = KINDS[DEFAULT_KIND]) -> bytes:
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\n{kind.headers(body)}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def prepare(file: Path, count: int, kind: AuthKind) -> None:
    """Writes requests for a load in advance, because signing takes longer than answering."""
    file.write_text(json.dumps([request(body, kind).decode() for body in islice(bodies(), count)]))


def read_prepared(file: Path) -> Iterator[bytes]:
    return iter([request.encode() for request in json.loads(file.read_text())])


class Load:
    """The state that all connections share: the requests, the clock and the responses."""

    def __init__(self, seconds: float, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._seconds = seconds
        self.ends_at = 0.0
        self.statuses: Counter[str] = Counter()
        self.took: list[float] = []
        self.took_refused: list[float] = []

    def next_request(self) -> bytes | None:
        """Returns the next request; None after the end."""
        return next(self._requests, None) if time.perf_counter() < self.ends_at else None

    async def run(self, port: int, connections: int) -> Measured:
        """Sends until the end, then waits for the outstanding responses."""
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
        refused = sorted(self.took_refused)
        percentiles = (_percentile(took, 0.50), _percentile(took, 0.99), _percentile(refused, 0.99))
        return Measured(dict(self.statuses), seconds, began, *percentiles, _percentile(took, 0.999))


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
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
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
        (self._load.took_refused if status == "503" else self._load.took).append(now - self._sent_at)
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._load.statuses[f"connection lost ({type(exc).__name__})"] += 1
            self.done.set_result(None)


def _whole_answer(received: bytes) -> str | None:
    """Returns the status once the response is complete."""
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
    parser.add_argument("--bodies", required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--prepared", type=Path)
    chosen = parser.parse_args()
    requests = map(request, bodies_called(chosen.bodies)) if chosen.prepared is None else read_prepared(chosen.prepared)
    load = Load(chosen.seconds, requests)
    click.echo(json.dumps(asdict(uvloop.run(load.run(chosen.port, chosen.connections)))))


if __name__ == "__main__":
    main()
