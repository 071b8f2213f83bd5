"""Senders that stand for FusionAuth: they send at a fixed rate and remember every response."""

import random
import threading
import time
from collections import Counter

import httpx

from harness.stack import API_KEY
from tests.support.soak.plan import Kind, draw

SENDERS = 4
TIMEOUT_SECONDS = 5.0
SENT_TWICE = 0.05
# Half of the senders send again after a refusal or a timeout.
SENDS_AGAIN = 0.5
RESENDS_FOR_SECONDS = 15.0
RESENDS_EVERY_SECONDS = 0.5
HEADERS = {"Authorization": API_KEY, "Content-Type": "application/json"}
ACCEPTED, DUPLICATE, REFUSED = 202, 200, 503


class Senders:
    """`accepted` and `unanswered` have the kind of each id; `wrong` lists responses that should not have come."""

    def __init__(self, url: str, per_second: float, seed: int) -> None:
        self.accepted: dict[str, Kind] = {}
        self.unanswered: dict[str, Kind] = {}
        self.answers: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._url = url
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
        with httpx.Client(timeout=TIMEOUT_SECONDS, headers=HEADERS, trust_env=False) as client:
            next_at = time.monotonic()
            while not self._is_over.wait(max(0.0, next_at - time.monotonic())):
                next_at = max(next_at + self._pause_seconds, time.monotonic() - 1)
                kind, event_id = draw(chance)
                if self._extra:
                    kind = self._extra.pop()
                self._send_one(client, chance, kind, event_id)

    def _send_one(self, client: httpx.Client, chance: random.Random, kind: Kind, event_id: str) -> None:
        self.unanswered[event_id] = kind
        ends_at = time.monotonic() + (RESENDS_FOR_SECONDS if chance.random() < SENDS_AGAIN else 0)
        while not (is_accepted := self._post(client, kind, event_id)) and time.monotonic() < ends_at:
            self._is_over.wait(RESENDS_EVERY_SECONDS)
        if not is_accepted:
            return
        self.accepted[event_id] = kind
        del self.unanswered[event_id]
        if chance.random() < SENT_TWICE:
            self._post(client, kind, event_id)

    def _post(self, client: httpx.Client, kind: Kind, event_id: str) -> bool:
        try:
            status = client.post(self._url, content=kind.body(event_id)).status_code
        except httpx.TransportError as exc:
            self.answers[f"none: {type(exc).__name__}"] += 1
            return False
        self.answers[str(status)] += 1
        is_second = event_id in self.accepted
        if status not in (ACCEPTED, DUPLICATE, REFUSED) or (is_second and status == ACCEPTED):
            self.wrong.append(f"{event_id} was answered {status}{' a second time' if is_second else ''}")
        return status in (ACCEPTED, DUPLICATE)
