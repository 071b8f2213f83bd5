"""FusionAuth's connections: each sends one event after the other, and notes how each was answered."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from harness.events import a_body, an_event
from harness.stack import API_KEY

HEADERS = {"Authorization": API_KEY, "Content-Type": "application/json"}
TIMEOUT_SECONDS = 10.0


@dataclass
class Connection:
    """One connection: the ids that it sent, in their order."""

    sent: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    slowest_seconds: float = 0.0


class Senders:
    """Connections that send together `rate` events a second until they are stopped."""

    def __init__(self, port: int, connections: int, rate: float) -> None:
        self._port = port
        self._pause = connections / rate
        self._is_over = threading.Event()
        self.connections = [Connection() for _ in range(connections)]
        self._threads = [threading.Thread(target=self._send, args=(each,)) for each in self.connections]

    @property
    def statuses(self) -> Counter[int]:
        """How often each status was answered so far."""
        return Counter(status for each in self.connections for status in each.statuses)

    @property
    def sent(self) -> set[str]:
        return {event_id for each in self.connections for event_id in each.sent}

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _send(self, connection: Connection) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_SECONDS)
        next_at = time.monotonic()
        while not self._is_over.wait(max(0.0, next_at - time.monotonic())):
            next_at = max(next_at + self._pause, time.monotonic() - 1)
            event = an_event()
            connection.sent.append(event["id"])
            began = time.monotonic()
            try:
                client.request("POST", "/fusionauth-webhook", a_body(event), HEADERS)
                response = client.getresponse()
                response.read()
                connection.statuses.append(response.status)
            except OSError:
                connection.statuses.append(0)
                client.close()
            connection.slowest_seconds = max(connection.slowest_seconds, time.monotonic() - began)
        client.close()


@contextmanager
def senders_to(port: int, connections: int = 8, rate: float = 200) -> Iterator[Senders]:
    senders = Senders(port, connections, rate)
    senders.start()
    try:
        yield senders
    finally:
        senders.stop()
