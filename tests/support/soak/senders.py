"""Senders that stand for FusionAuth: they send at a fixed rate, and a journal keeps every response."""

import random
import threading
import time

from tests.support.soak.client import Client
from tests.support.soak.journal import Journal
from tests.support.soak.plan import Kind, draw

SENDERS = 16
SENT_TWICE = 0.05
# Half of the senders send again after a refusal or a timeout.
SENDS_AGAIN = 0.5
RESENDS_FOR_SECONDS = 15.0
RESENDS_EVERY_SECONDS = 0.5
HELD_SECONDS = 0.2


class Senders:
    """`is_held` lets them pause, so that a busy machine's workers keep up."""

    def __init__(self, port: int, per_second: float, seed: str, journal: Journal) -> None:
        self.journal = journal
        self.is_held = False
        self._port = port
        self._pause_seconds = SENDERS / per_second
        self._extra: list[Kind] = []
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(random.Random(f"{seed} {number}"),), name=f"sender {number}")  # noqa: S311 - repeatable by its seed
            for number in range(SENDERS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def also(self, kind: Kind) -> tuple[float, str]:
        """Sends one of these next; as a fault it has no duration."""
        self._extra.append(kind)
        return 0.0, kind.event_type

    def _send(self, chance: random.Random) -> None:
        client = Client(self._port)
        next_at = time.monotonic()
        while not self._is_over.wait(max(0.0, next_at - time.monotonic())):
            next_at = max(next_at + self._pause_seconds, time.monotonic() - 1)
            if self.is_held:
                next_at = time.monotonic() + HELD_SECONDS
                continue
            kind, event_id = draw(chance)
            if self._extra:
                kind = self._extra.pop()
            self._send_one(client, chance, kind, event_id)
        client.close()

    def _send_one(self, client: Client, chance: random.Random, kind: Kind, event_id: str) -> None:
        self.journal.sent(event_id, kind)
        body = kind.body(event_id)
        ends_at = time.monotonic() + (RESENDS_FOR_SECONDS if chance.random() < SENDS_AGAIN else 0)
        is_sent_twice = chance.random() < SENT_TWICE
        while not (is_accepted := self._post(client, event_id, body)) and time.monotonic() < ends_at:
            self._is_over.wait(RESENDS_EVERY_SECONDS)
        if is_accepted and is_sent_twice:
            self._post(client, event_id, body)

    def _post(self, client: Client, event_id: str, body: bytes) -> bool:
        try:
            answer = f"{client.post(body)}"
        except OSError as exc:
            answer = type(exc).__name__
        self.journal.answered(event_id, answer)
        return event_id in self.journal.accepted
